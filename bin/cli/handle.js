'use strict'

const { isByExistence } = require('../../lib/by-existence.js')
const { lockFile } = require('../../lib/file-lock.js')

/** Returns the handle that a request is about: that of a lock or, with `permits`, of a semaphore. */
function handleOf({ file, path = file, mode, permits, protocol, stale, update }) {
  if (permits !== undefined) return require('../../lib/semaphore.js').semaphore(path, permits)
  // As flock(1), the kernel's locks are taken of folders, too. Of a lock by existence, the protocol says what it is.
  return lockFile(path, { mode, protocol, stale, update, allowDirectory: !isByExistence(protocol) })
}

module.exports = { handleOf }
