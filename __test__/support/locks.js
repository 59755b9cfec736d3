'use strict'

// Locks of this process, and questions about them.

const path = require('node:path')

const { lockFile } = require('../..')

/** The lock of `file`, held until the test ends at the latest. */
function locked(t, file, options) {
  const holder = lockFile(file).acquireSync(options)
  t.after(() => holder[Symbol.dispose]())
  return holder
}

/** Returns true if another handle can acquire the lock of `file` now. */
async function isFree(file) {
  const lock = lockFile(file)
  const free = await lock.tryAcquire()
  if (free) lock.release()
  return free
}

/** Resolves when all requests of this thread are in the queue: jobs are done in their order. */
const allQueued = (file) => lockFile(path.join(path.dirname(file), 'another')).isLocked()

module.exports = { allQueued, isFree, locked }
