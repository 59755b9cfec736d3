'use strict'

const { LockError, LockTimeoutError } = require('./errors.js')
const { PostgresLock, postgresLock } = require('./postgres-lock.js')

module.exports = { postgresLock, PostgresLock, LockError, LockTimeoutError }
