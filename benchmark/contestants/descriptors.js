'use strict'

// The peers that lock a descriptor. Their users open the file, lock it, unlock it, and close it.

const fs = require('node:fs')
const { promisify } = require('node:util')

const { installed, opener } = require('./installed.js')

/** Faster than that of node:fs/promises, whose descriptors are objects with a life of their own. */
const open = promisify(fs.open)

/**
 * On this thread. fs.close would cost a further trip over libuv's pool; and with fs-ext, four waiters have all threads of
 * the pool, so that the descriptor whose closing they wait for would never be closed.
 */
const close = fs.closeSync

const ENDLESS = 'waits without end, or not at all'
/** Each of 19,000 takes four to ten times as long as each of 2000. */
const MINUTES = 'takes minutes: a descriptor for each hold, and the kernel goes through the holds for each of them'
const NO_CANCEL = 'cannot end a wait'
const POOL = "waits for four files, with all threads of libuv's pool: its other waits stand in line for the pool"
const SHARED = 'does not exclude within a process: all waiters are served while the lock is held'

/** @param prepare returns what makes a handle; see opener(). */
const peer = (name, cannot, prepare) => {
  const found = installed(name)
  return { ...found, kind: 'kernel', cannot, open: opener(() => prepare(found.load())) }
}

module.exports = [
  /** flock(2), in libuv's pool of four threads. Closing unlocks. */
  peer(
    'fs-ext',
    { 'waits-in-vain': ENDLESS, cancelled: NO_CANCEL, 'shared-100000': MINUTES, 'idle-files': POOL },
    ({ flock: flockAndCall, flockSync }) => {
      const flock = promisify(flockAndCall)
      return (file) => {
        let fd
        const lock = async (mode) => {
          fd = await open(file, 'a')
          await flock(fd, mode)
        }
        const release = () => close(fd)
        return {
          acquire: () => lock('ex'),
          acquireShared: () => lock('sh'),
          release,
          acquireSync() {
            fd = fs.openSync(file, 'a')
            flockSync(fd, 'ex')
          },
          releaseSync: release,
        }
      }
    },
  ),

  /** OFD locks (flock(2) on macOS). Waiting takes a thread for each waiter, so one tries first. */
  peer(
    'fs-native-extensions',
    { 'waits-in-vain': ENDLESS, cancelled: NO_CANCEL, 'shared-100000': MINUTES },
    ({ tryLock, waitForLock, waitForLockSync, unlock }) =>
      (file) => {
        let fd
        const lock = async (options) => {
          fd = await open(file, 'a+')
          if (!tryLock(fd, options)) await waitForLock(fd, options)
        }
        const release = () => {
          unlock(fd)
          close(fd)
        }
        return {
          acquire: () => lock(),
          acquireShared: () => lock({ shared: true }),
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
      waiters: SHARED,
      shared: 'does not exclude within a process: one of its holds is as good as all of them',
      cancelled: NO_CANCEL,
      'idle-files': POOL,
      'waits-in-vain': ENDLESS,
      'uncontended-sync': 'has no synchronous form',
      'new-handle-sync': 'has no synchronous form',
    },
    ({ lock, unlock }) =>
      (file) => {
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
