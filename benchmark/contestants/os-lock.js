'use strict'

// POSIX locks of fcntl(2), which belong to the process: two of its own waiters do not exclude each other.

const { close, open } = require('./descriptor.js')
const { installed } = require('./installed.js')

const osLock = installed('os-lock')

const SHARED = 'does not exclude within a process: all waiters are served while the lock is held'

module.exports = {
  ...osLock,
  kind: 'kernel',
  open(file) {
    const { lock, unlock } = osLock.load()
    let fd
    return {
      async acquire() {
        fd = await open(file, 'a+')
        await lock(fd, { exclusive: true })
      },
      async release() {
        await unlock(fd)
        return close(fd)
      },
    }
  },
  cannot: {
    'waiters-1000': SHARED,
    'waiters-10000': SHARED,
    waiters: SHARED,
    'waits-in-vain': 'waits without end, or not at all',
    'uncontended-sync': 'has no synchronous form',
  },
}
