'use strict'

// A file made with O_EXCL and deleted on release. Waiting is trying again.

const { promisify } = require('node:util')

const { installed, opener } = require('./installed.js')

const lockfile = installed('lockfile')

/** In milliseconds. `wait` must be a finite number; `pollPeriod` would be 100, and this is in its favour. */
const OPTIONS = { wait: 1e9, pollPeriod: 10 }

module.exports = {
  ...lockfile,
  kind: 'file',
  open: opener(() => {
    const { lock, unlock, lockSync, unlockSync } = lockfile.load()
    const acquire = promisify(lock)
    const release = promisify(unlock)
    return (file) => ({
      // It keeps notes in the options that it is given.
      acquire: () => acquire(file, { ...OPTIONS }),
      acquireWithin: (wait) => acquire(file, { ...OPTIONS, wait }),
      release: () => release(file),
      acquireSync: () => lockSync(file),
      releaseSync: () => unlockSync(file),
    })
  }),
  cannot: {
    'killed-holder': 'waits for ever: the file of a killed holder stays',
    'blocked-loop': 'never renews a lock: with `stale`, others get in after that time, whatever the holder does',
    shared: 'has no shared mode',
    cancelled: 'cannot end a wait',
  },
}
