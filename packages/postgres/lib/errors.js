'use strict'

const { NESTED } = require('../../../lib/nested-runs.js')

/** An error of the lock itself. What the server or the network refuses is an error as pg makes it. */
class LockError extends Error {
  constructor(message, { code, lockName, ...options } = {}) {
    super(message, options)
    this.code = code
    this.lockName = lockName
  }

  /** For JSON.stringify(), which leaves out the name and message of an error. */
  toJSON() {
    return { name: this.name, message: this.message, ...this }
  }
}

class LockTimeoutError extends LockError {
  constructor(message, { timeout, holders, ...fields } = {}) {
    super(message, { ...fields, code: 'ERR_LOCK_TIMEOUT' })
    this.timeout = timeout
    this.holders = holders
  }
}

// On the prototype, as the names of Node's errors are: not enumerable there, and a subclass can have its own.
for (const type of [LockError, LockTimeoutError]) {
  Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true })
}

/** The error of a signal that has fired, as Node makes it, with the name of the lock. Node's own class is not public. */
class AbortError extends Error {
  constructor(reason, lockName) {
    super('The operation was aborted', { cause: reason })
    this.name = 'AbortError'
    this.code = 'ABORT_ERR'
    this.lockName = lockName
  }
}

/** The most holders that a message names. */
const NAMED_HOLDERS = 3

/** `4242 on web-1`, or what the server knows of another program. */
function nameHolder({ pid, host, application, serverPid }) {
  if (pid !== undefined) return `${pid} on ${host}`
  return application ? `${application} (server process ${serverPid})` : `server process ${serverPid}`
}

function describeHolders(holders) {
  if (holders === undefined || holders.length === 0) return 'it is locked'
  const others = holders.length - NAMED_HOLDERS
  const names = holders.slice(0, NAMED_HOLDERS).map(nameHolder).join(', ')
  return `held by ${names}${others > 0 ? ` and ${others} more` : ''}`
}

/** The error of a wait that has ended. `why`: why the lock was not to be had, if not because of its holders. */
function timeoutError({ lockName, timeout, isNested }, holders, why = describeHolders(holders)) {
  const within = timeout === 0 ? '' : ` within ${timeout} ms`
  const message = `Couldn't lock ${lockName}${within}: ${why}${isNested ? `; ${NESTED}` : ''}`
  return new LockTimeoutError(message, { lockName, timeout, holders })
}

const notHeldError = (lockName) =>
  new LockError(`cannot release unlocked lock ${lockName}`, { code: 'ERR_LOCK_NOT_HELD', lockName })

const lostError = (lockName, cause) =>
  new LockError(`lost the lock of ${lockName}: ${cause.message}`, { code: 'ERR_LOCK_LOST', lockName, cause })

const unsupportedError = (message) => new LockError(message, { code: 'ERR_LOCK_UNSUPPORTED' })

/** SQLSTATE of a deadlock that the server has found. */
const DEADLOCK_DETECTED = '40P01'

/** Returns the error of a request that failed, with a stack of its own: several requests may fail for one reason. */
function failureError(error, lockName) {
  if (error instanceof LockError) return new LockError(error.message, { code: error.code, lockName })
  if (error.code === DEADLOCK_DETECTED) {
    const message = `Waiting for ${lockName} would never end: ${error.message}`
    return new LockError(message, { code: 'ERR_LOCK_DEADLOCK', lockName, cause: error })
  }
  // An AggregateError, of a host with several addresses, has no message.
  const { stack, message, errors, ...fields } = error
  return Object.assign(new Error(error.message || error.code, { cause: error }), fields, { lockName })
}

module.exports = {
  AbortError,
  failureError,
  LockError,
  LockTimeoutError,
  lostError,
  notHeldError,
  timeoutError,
  unsupportedError,
}
