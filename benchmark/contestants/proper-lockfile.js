'use strict'

// A folder beside the file, made with mkdir(2), whose time is set anew every five seconds: who finds an old one takes it.
// And the module of this clone that has the same functions.

const path = require('node:path')

const { installed, opener } = require('./installed.js')

const properLockfile = installed('proper-lockfile')

const DROP_IN = path.join(__dirname, '../../dist/proper-lockfile.js')

/**
 * It does not wait unless it is told to try again. With `retry`'s own defaults the first retry comes after a second; this
 * is far more eager, and as eager as one may be when many processes wait.
 */
const RETRIES = { forever: true, retries: 5, minTimeout: 5, maxTimeout: 50, randomize: true }

/** Without `realpath: false` the file would have to exist. */
const OPTIONS = { realpath: false, retries: RETRIES }

const openerOf = (load) =>
  opener(() => {
    const { lock, lockSync } = load()
    return (file, options) => {
      let release
      return {
        async acquire() {
          release = await lock(file, { ...OPTIONS, ...options })
        },
        // An option of `retry`: no try that fails after this time is followed by another one.
        acquireWithin: (maxRetryTime) => lock(file, { ...OPTIONS, retries: { ...RETRIES, maxRetryTime } }),
        release: () => release(),
        acquireSync() {
          release = lockSync(file, { realpath: false })
        },
        releaseSync: () => release(),
      }
    }
  })

module.exports = [
  {
    ...properLockfile,
    kind: 'file',
    open: openerOf(properLockfile.load),
    cannot: { shared: 'has no shared mode', cancelled: 'cannot end a wait' },
  },
  {
    name: '@locket/native/proper-lockfile',
    kind: 'file',
    rival: 'proper-lockfile',
    rows: ['uncontended-async', 'uncontended-sync'],
    version: () => undefined,
    entry: DROP_IN,
    open: openerOf(() => require(DROP_IN)),
  },
]
