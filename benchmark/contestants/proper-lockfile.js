'use strict'

// A folder beside the file, made with mkdir(2), whose time is set anew every five seconds: who finds an old one takes it.

const { installed } = require('./installed.js')

const properLockfile = installed('proper-lockfile')

/**
 * It does not wait unless it is told to try again. With `retry`'s own defaults the first retry comes after a second; this
 * is far more eager, and as eager as one may be when many processes wait.
 */
const RETRIES = { forever: true, retries: 5, minTimeout: 5, maxTimeout: 50, randomize: true }

/** Without `realpath: false` the file would have to exist. */
const OPTIONS = { realpath: false, retries: RETRIES }

module.exports = {
  ...properLockfile,
  kind: 'file',
  open(file) {
    const { lock, lockSync } = properLockfile.load()
    let release
    return {
      async acquire() {
        release = await lock(file, OPTIONS)
      },
      release: () => release(),
      acquireSync() {
        release = lockSync(file, { realpath: false })
      },
      releaseSync: () => release(),
    }
  },
  cannot: { 'waits-in-vain': 'limits its tries, not the time' },
}
