'use strict'

const { isByExistence } = require('./by-existence.js')
const { NESTED } = require('./nested-runs.js')

/** An error of the lock itself. What the operating system refuses is an Error shaped as Node's own. */
class LockError extends Error {
  constructor(message, { code, path, ...options } = {}) {
    super(message, options)
    this.code = code
    this.path = path
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

  /** Leaves out the command lines of the holders: they may contain secrets, and JSON goes into logs. */
  toJSON() {
    return { ...super.toJSON(), holders: this.holders?.map(({ command, ...holder }) => holder) }
  }
}

function timeoutError({ path, timeout }, why, holders) {
  const within = timeout === 0 ? '' : ` within ${timeout} ms`
  return new LockTimeoutError(`Couldn't lock ${path}${within}: ${why}`, { path, timeout, holders })
}

/** The most holders that a message names. */
const NAMED_HOLDERS = 3

/** Returns the name of a process in messages. Its module is not loaded before: that would take every program some time. */
function nameProcess(holder) {
  try {
    return require('./programs.js').nameProcess(holder)
  } catch {
    // The package has been removed or replaced since it was loaded.
    return `${holder.pid}${holder.host === undefined ? '' : ` on ${holder.host}`}`
  }
}

/** `held by 4242 (node deploy.js), 4243 (node deploy.js)`. A process that holds several permits is named once. */
function nameHolders(holders) {
  const processes = new Map(holders.map((holder) => [`${holder.pid} ${holder.host ?? ''}`, holder]))
  const names = [...processes.values()].slice(0, NAMED_HOLDERS).map(nameProcess)
  const others = processes.size - names.length
  return `held by ${names.join(', ')}${others > 0 ? ` and ${others} more` : ''}`
}

/** Returns true for a holder on this host that is this process. */
const isThisProcess = ({ pid, host }) => pid === process.pid && host === undefined

/** Returns why a wait timed out. `holders` is undefined if they are unknown. */
function describeHolders({ holders }, protocol) {
  if (holders === undefined) return 'it is locked'
  if (holders.length === 0) {
    // The kernel's table may not show a holder. An entry does, unless its holder is dead.
    return isByExistence(protocol)
      ? 'its lock entry seems to be left behind, and cannot be taken over here (breakLock() removes it)'
      : 'it is locked'
  }
  // Or people would look for another process.
  const itself = holders.every(isThisProcess) ? ', which is this process' : ''
  return nameHolders(holders) + itself
}

// On the prototype, as the names of Node's errors are: not enumerable there, and a subclass can have its own.
for (const type of [LockError, LockTimeoutError]) {
  Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true })
}

/** The error of a signal that has fired, as Node makes it, with the path of the lock. Node's own class is not public. */
class AbortError extends Error {
  constructor(reason, path) {
    super('The operation was aborted', { cause: reason })
    this.name = 'AbortError'
    this.code = 'ABORT_ERR'
    this.path = path
  }
}

/** Returns the error of a release without a hold. `holders`: those who hold the lock instead, if that is known. */
function notHeldError(path, holders) {
  const instead = holders === undefined ? '' : `: it is ${nameHolders(holders)}`
  return new LockError(`cannot release unlocked lock ${path}${instead}`, { code: 'ERR_LOCK_NOT_HELD', path })
}

/** Returns the error of a lock that is gone although nobody has released it. */
function lostError({ path, protocol }) {
  const taken = isByExistence(protocol) ? 'its lock entry was removed or replaced, or ' : ''
  const message = `lost the lock of ${path}: ${taken}something in this process has closed the descriptor of the lock file`
  return new LockError(message, { code: 'ERR_LOCK_LOST', path })
}

/** Returns the error of what cannot be done with the lock of `path`. */
const unsupportedError = (path, message, fields) =>
  new LockError(message, { ...fields, code: 'ERR_LOCK_UNSUPPORTED', path })

/** Adds the holders to the error of a timeout that was made without them: to its message and its stack, too. */
function addHolders(error, holders) {
  const message = error.message.replace(describeHolders({}), describeHolders({ holders }))
  if (typeof error.stack === 'string') error.stack = error.stack.replace(error.message, () => message)
  return Object.assign(error, { message, holders })
}

/** Returns the error of a semaphore whose file says otherwise. `permits`: the number in the file, if that is one. */
function permitsError({ permits }, wait) {
  const { path } = wait
  const message =
    permits === undefined
      ? `${path} is not the file of a semaphore: it has other content, which is left alone`
      : `${path} has ${permits} permit${permits === 1 ? '' : 's'}, not ${wait.permits}, and is in use`
  return new LockError(message, { code: 'ERR_LOCK_PERMITS', path })
}

/** Returns what the file system of `path` lacks, if it has refused `syscall`. */
function describeLack({ syscall }, { path, protocol }) {
  if (syscall === 'unlink') {
    return `removeOnRelease is not safe for ${path}: others could still see the removed file on this file system`
  }
  const where = `${path} is on a file system that has`
  if (isByExistence(protocol)) return `${where} not what the protocol '${protocol}' needs: ${syscall}`
  return `${where} no such locks: a protocol that locks by existence works there, such as 'soft-file' or 'proper-lockfile'`
}

/** Descriptions of the system errors that libuv, and so Node, does not know. */
const UNKNOWN_TO_NODE = { ENOLCK: 'no locks available', EDEADLK: 'resource deadlock avoided' }

/** Returns the name of a system error and its description. */
function describe(errno) {
  const known = require('node:util').getSystemErrorMap().get(errno)
  if (known) return known
  // Not at the top: loading it takes a third of a millisecond, and it is hardly ever needed.
  const os = require('node:os')
  const name = Object.keys(os.constants.errno).find((key) => os.constants.errno[key] === -errno) ?? 'UNKNOWN'
  return [name, UNKNOWN_TO_NODE[name] ?? `system error ${errno}`]
}

/** Returns an error like `ENOENT: no such file or directory, open 'PATH'`, with the properties that Node gives it. */
function systemError({ errno, syscall, slot }, lockPath) {
  const path = slot === undefined ? lockPath : `${lockPath}.${slot}`
  const [code, description] = describe(errno)
  const error = new Error(`${code}: ${description}, ${syscall} '${path}'`)
  return Object.assign(error, { errno, code, syscall, path })
}

/** Returns the error for a failure of the native part. `nested`: the wait began inside a run() that holds the lock. */
function failureError(failure, wait, nested = false) {
  const { path, protocol, timeout = 0, signal } = wait
  switch (failure.reason) {
    case 'timeout':
      return timeoutError(
        { path, timeout },
        describeHolders(failure, protocol) + (nested ? `; ${NESTED}` : ''),
        failure.holders,
      )
    case 'unanswered':
      return timeoutError({ path, timeout }, 'the path does not answer')
    case 'aborted':
      return new AbortError(signal?.reason, path)
    case 'lost':
      return lostError({ path, protocol })
    case 'deadlock':
      return new LockError(
        `Waiting for ${path} would never end: this thread holds the lock, or is ahead in the queue for it, and would be blocked`,
        { code: 'ERR_LOCK_DEADLOCK', path },
      )
    case 'permits':
      return permitsError(failure, wait)
    case 'unsupported':
      return unsupportedError(path, describeLack(failure, { path, protocol }), { cause: systemError(failure, path) })
    case 'panicked':
      // The code of Node's own internal errors: the fault is in this package.
      return Object.assign(new Error('A defect of @locket/native: please report it, with what it said on stderr'), {
        code: 'ERR_INTERNAL_ASSERTION',
      })
    default:
      return systemError(failure, path)
  }
}

module.exports = {
  LockError,
  LockTimeoutError,
  AbortError,
  addHolders,
  nameHolders,
  failureError,
  lostError,
  notHeldError,
  unsupportedError,
}
