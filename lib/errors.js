'use strict'

const util = require('node:util')

const { nameProcess } = require('./programs.js')

/** An error of the lock itself. What the operating system refuses is an Error shaped as Node's own. */
class LockError extends Error {
  constructor(message, { code, path, ...options } = {}) {
    super(message, options)
    this.code = code
    this.path = path
  }

  /** What JSON.stringify shows: Error's own name and message would be left out. */
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

  /** Without the command lines of the holders: JSON goes into logs, and command lines hold secrets. */
  toJSON() {
    return { ...super.toJSON(), holders: this.holders?.map(({ command, ...holder }) => holder) }
  }
}

/** Added to the message of a timeout inside `run` of the same lock. */
const NESTED = 'it was waited for inside run() of the same lock'

function timeoutError({ path, timeout }, why, holders) {
  const within = timeout === 0 ? '' : ` within ${timeout} ms`
  return new LockTimeoutError(`Couldn't lock ${path}${within}: ${why}`, { path, timeout, holders })
}

/** How many holders a message names. */
const NAMED_HOLDERS = 3

/** `held by 4242 (node deploy.js), 4243 (node deploy.js)` */
function nameHolders(holders) {
  const names = holders.slice(0, NAMED_HOLDERS).map(nameProcess)
  const others = holders.length - names.length
  return `held by ${names.join(', ')}${others > 0 ? ` and ${others} more` : ''}`
}

/** Why a wait timed out. `holders` is undefined where the system does not tell. */
function describeHolders(holders = []) {
  if (holders.length === 0) return 'it is locked'
  // Whoever waits for itself looks for somebody else in vain.
  const itself = holders.every(({ pid }) => pid === process.pid) ? ', which is this process' : ''
  return nameHolders(holders) + itself
}

// On the prototype, as Error's own names are: there it is not enumerable, and a subclass can have its own.
for (const type of [LockError, LockTimeoutError]) {
  Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true })
}

/** What Node core makes for a signal that has fired, with the path of the lock; Node's class is not public. */
class AbortError extends Error {
  constructor(reason, path) {
    super('The operation was aborted', { cause: reason })
    this.name = 'AbortError'
    this.code = 'ABORT_ERR'
    this.path = path
  }
}

/** The error of a lock that is gone, though nobody has released it. */
const lostError = (path) =>
  new LockError(`lost the lock of ${path}: something in this process has closed the descriptor of the lock file`, {
    code: 'ERR_LOCK_LOST',
    path,
  })

/** What libuv, and so Node, has no words for. */
const UNKNOWN_TO_NODE = { ENOLCK: 'no locks available' }

/** The name of a system error and what it means. */
function describe(errno) {
  const known = util.getSystemErrorMap().get(errno)
  if (known) return known
  // Not at the top: it takes a third of a millisecond, and is hardly ever needed.
  const os = require('node:os')
  const name = Object.keys(os.constants.errno).find((key) => os.constants.errno[key] === -errno) ?? 'UNKNOWN'
  return [name, UNKNOWN_TO_NODE[name] ?? `system error ${errno}`]
}

/** `ENOENT: no such file or directory, open 'PATH'`, with the properties that Node gives such errors. */
function systemError({ errno, syscall }, path) {
  const [code, description] = describe(errno)
  const error = new Error(`${code}: ${description}, ${syscall} '${path}'`)
  return Object.assign(error, { errno, code, syscall, path })
}

/**
 * Returns the error for a refusal of the native part. `holders`: who holds the lock, or undefined where that is not
 * known. `nested`: the wait began inside a `run` that holds the lock.
 */
function refusalError(refusal, { path, timeout = 0, signal }, holders, nested = false) {
  switch (refusal.reason) {
    case 'timeout':
      return timeoutError({ path, timeout }, describeHolders(holders) + (nested ? `; ${NESTED}` : ''), holders)
    case 'unanswered':
      return timeoutError({ path, timeout }, 'the path does not answer')
    case 'aborted':
      return new AbortError(signal?.reason, path)
    case 'lost':
      return lostError(path)
    case 'deadlock':
      return new LockError(
        `Waiting for ${path} would never end: this thread holds the lock, or is ahead in line for it, and would be blocked`,
        { code: 'ERR_LOCK_DEADLOCK', path },
      )
    case 'unsupported':
      // The native part names the call that removes the file where that is what may not be done.
      return new LockError(
        refusal.syscall === 'unlink'
          ? `removeOnRelease is not safe for ${path}: others could still see the removed file on this file system`
          : `${path} is on a file system that has no such locks`,
        {
          code: 'ERR_LOCK_UNSUPPORTED',
          path,
          cause: systemError(refusal, path),
        },
      )
    case 'panicked':
      // As Node's own for what should not be: the code says that it is nobody's fault but ours.
      return Object.assign(new Error('A defect of @locket/native: please report it, with what it said on stderr'), {
        code: 'ERR_INTERNAL_ASSERTION',
      })
    default:
      return systemError(refusal, path)
  }
}

module.exports = { LockError, LockTimeoutError, AbortError, nameHolders, refusalError }
