'use strict'

// OFD locks (flock(2) on macOS) on a descriptor. Waiting takes a thread for each waiter, so one tries first.

const fs = require('node:fs')

const { close, open } = require('./descriptor.js')
const { installed } = require('./installed.js')

const extensions = installed('fs-native-extensions')

module.exports = {
  ...extensions,
  kind: 'kernel',
  open(file) {
    const { tryLock, waitForLock, waitForLockSync, unlock } = extensions.load()
    let fd
    return {
      async acquire() {
        fd = await open(file, 'a+')
        if (!tryLock(fd)) await waitForLock(fd)
      },
      release() {
        unlock(fd)
        return close(fd)
      },
      acquireSync() {
        fd = fs.openSync(file, 'a+')
        waitForLockSync(fd)
      },
      releaseSync() {
        unlock(fd)
        fs.closeSync(fd)
      },
    }
  },
  cannot: { 'waits-in-vain': 'waits without end, or not at all' },
}
