'use strict'

const { LockError, LockTimeoutError } = require('./lib/errors.js')
const { FileLock, lockFile } = require('./lib/file-lock.js')
const { query } = require('./lib/native.js')

module.exports = { lockFile, query, FileLock, LockError, LockTimeoutError }
