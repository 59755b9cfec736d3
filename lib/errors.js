'use strict'

const util = require('node:util')

/** An error of the lock itself. What the operating system refuses is an Error shaped as Node's own. */
class LockError extends Error {
  constructor(code, message, path, options) {
    super(message, options)
    this.code = code
    this.path = path
  }
}

class LockTimeoutError extends LockError {
  constructor(path, timeout, holders) {
    const wait = timeout === 0 ? '' : ` within ${timeout} ms`
    super('ERR_LOCK_TIMEOUT', `Couldn't lock ${path}${wait}: ${describeHolders(holders)}`, path)
    this.timeout = timeout
    this.holders = holders
  }
}

/** How many holders a message names, and how much of each one's command line. */
const NAMED_HOLDERS = 3
const NAMED_COMMAND = 100

/** `held by 4242 (node deploy.js), 4243 (node deploy.js)` */
function nameHolders(holders) {
  const names = holders.slice(0, NAMED_HOLDERS).map(({ pid, command }) => (command ? `${pid} (${cut(command)})` : pid))
  const others = holders.length - names.length
  return `held by ${names.join(', ')}${others > 0 ? ` and ${others} more` : ''}`
}

function describeHolders(holders) {
  if (holders === undefined || holders.length === 0) return 'it is locked'
  // Whoever waits for itself looks for somebody else in vain.
  const itself = holders.every(({ pid }) => pid === process.pid) ? ', which is this process' : ''
  return nameHolders(holders) + itself
}

const cut = (command) => (command.length > NAMED_COMMAND ? `${command.slice(0, NAMED_COMMAND - 1)}…` : command)

// On the prototype, as Error's own names are: there it is not enumerable, and a subclass can have its own.
for (const type of [LockError, LockTimeoutError]) {
  Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true })
}

/** What Node core makes for a signal that has fired; its class is not public. */
class AbortError extends Error {
  constructor(reason) {
    super('The operation was aborted', { cause: reason })
    this.name = 'AbortError'
    this.code = 'ABORT_ERR'
  }
}

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
 * The error that a refusal of the native part means. `holders`: who is in the way, or why the native part
 * cannot say.
 */
function refusalError(refusal, { path, timeout, signal }, holders) {
  switch (refusal.reason) {
    case 'timeout':
      return new LockTimeoutError(path, timeout, Array.isArray(holders) ? holders : undefined)
    case 'aborted':
      return new AbortError(signal?.reason)
    case 'deadlock':
      return new LockError(
        'ERR_LOCK_DEADLOCK',
        `Waiting for ${path} would never end: this thread holds the lock, or is ahead in line for it, and would be blocked`,
        path,
      )
    case 'unanswered': {
      const error = new LockTimeoutError(path, timeout, [])
      error.message = error.message.replace(/: it is locked$/, ': the path does not answer')
      return error
    }
    case 'lost':
      return new LockError('ERR_LOCK_LOST', `The lock of ${path} was lost: somebody has closed its descriptor`, path)
    case 'unsupported':
      return new LockError('ERR_LOCK_UNSUPPORTED', `${path} is on a file system that has no such locks`, path, {
        cause: systemError(refusal, path),
      })
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
