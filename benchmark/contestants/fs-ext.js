'use strict'

// flock(2) on a descriptor, in libuv's pool of four threads. Its users open the file, lock it, and close it to unlock.

const fs = require('node:fs')
const { promisify } = require('node:util')

const { close, open } = require('./descriptor.js')
const { installed } = require('./installed.js')

const fsExt = installed('fs-ext')

module.exports = {
  ...fsExt,
  kind: 'kernel',
  open(file) {
    const { flock, flockSync } = fsExt.load()
    const lock = promisify(flock)
    let fd
    return {
      async acquire() {
        fd = await open(file, 'a')
        await lock(fd, 'ex')
      },
      release: () => close(fd),
      acquireSync() {
        fd = fs.openSync(file, 'a')
        flockSync(fd, 'ex')
      },
      releaseSync: () => fs.closeSync(fd),
    }
  },
  cannot: { 'waits-in-vain': 'waits without end, or not at all' },
}
