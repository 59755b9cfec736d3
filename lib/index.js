'use strict'

// The public API. Its types and documentation are in index.d.ts.

const { LockError, LockTimeoutError } = require('./errors.js')
const { FileLock, lockFile } = require('./file-lock.js')
const native = require('./native.js')

const { query } = native

module.exports = { lockFile, query, FileLock, LockError, LockTimeoutError }
