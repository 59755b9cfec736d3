'use strict'

const { isByExistence } = require('../../lib/by-existence.js')
const { lockFile } = require('../../lib/file-lock.js')

/** Returns the handle for the lock that a request is about. */
function handleOf({ file, path, protocol, stale, update }) {
  // As flock(1), the kernel's locks are taken of folders, too. Of a lock by existence, the protocol says what it is.
  return lockFile(path ?? file, { protocol, stale, update, allowDirectory: !isByExistence(protocol) })
}

module.exports = { handleOf }
