'use strict'

// The peers that lock a descriptor. Their users open the file, lock it, unlock it, and close it.

const fs = require('node:fs')
const { promisify } = require('node:util')

const { installed } = require('./installed.js')

/** Faster than that of node:fs/promises, whose descriptors are objects with a life of their own. */
const open = promisify(fs.open)

/**
 * On this thread. fs.close would cost a further trip over libuv's pool; and with fs-ext, four waiters have all threads of
 * the pool, so that the descriptor whose closing they wait for would never be closed.
 */
const close = fs.closeSync

const ENDLESS = 'waits without end, or not at all'
const SHARED = 'does not exclude within a process: all waiters are served while the lock is held'

const peer = (name, cannot, handleOf) => {
  const found = installed(name)
  return { ...found, kind: 'kernel', cannot, open: (file) => handleOf(file, found.load()) }
}

module.exports = [
  /** flock(2), in libuv's pool of four threads. Closing unlocks. */
  peer('fs-ext', { 'waits-in-vain': ENDLESS }, (file, { flock, flockSync }) => {
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
      releaseSync: () => close(fd),
    }
  }),

  /** OFD locks (flock(2) on macOS). Waiting takes a thread for each waiter, so one tries first. */
  peer(
    'fs-native-extensions',
    { 'waits-in-vain': ENDLESS },
    (file, { tryLock, waitForLock, waitForLockSync, unlock }) => {
      let fd
      const release = () => {
        unlock(fd)
        close(fd)
      }
      return {
        async acquire() {
          fd = await open(file, 'a+')
          if (!tryLock(fd)) await waitForLock(fd)
        },
        release,
        acquireSync() {
          fd = fs.openSync(file, 'a+')
          waitForLockSync(fd)
        },
        releaseSync: release,
      }
    },
  ),

  /** POSIX locks of fcntl(2), which belong to the process: two of its own waiters do not exclude each other. */
  peer(
    'os-lock',
    {
      'waiters-1000': SHARED,
      'waiters-10000': SHARED,
      waiters: SHARED,
      'waits-in-vain': ENDLESS,
      'uncontended-sync': 'has no synchronous form',
    },
    (file, { lock, unlock }) => {
      let fd
      return {
        async acquire() {
          fd = await open(file, 'a+')
          await lock(fd, { exclusive: true })
        },
        async release() {
          await unlock(fd)
          close(fd)
        },
      }
    },
  ),
]
