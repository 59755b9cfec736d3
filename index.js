'use strict'

const { LockError, LockTimeoutError } = require('./lib/errors.js')
const { FileLock, lockFile } = require('./lib/file-lock.js')

module.exports = { lockFile, FileLock, LockError, LockTimeoutError }
