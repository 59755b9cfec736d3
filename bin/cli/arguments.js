'use strict'

// Parses the command line. As for flock(1), options end at FILE, and the command follows.

const { parseArgs } = require('node:util')

const { isByExistence } = require('../../lib/by-existence.js')
const { checkProtocol } = require('../../lib/protocols.js')
const { usageError } = require('./failure.js')

/** That of semaphore(), which is not loaded for a command line. */
const MOST_PERMITS = 1024

const OPTIONS = {
  shared: { type: 'boolean', short: 's' },
  exclusive: { type: 'boolean', short: 'x' },
  e: { type: 'boolean', short: 'e' },
  nonblock: { type: 'boolean', short: 'n' },
  nonblocking: { type: 'boolean' },
  nb: { type: 'boolean' },
  timeout: { type: 'string', short: 'w' },
  wait: { type: 'string' },
  'conflict-exit-code': { type: 'string', short: 'E' },
  command: { type: 'string', short: 'c' },
  permits: { type: 'string' },
  protocol: { type: 'string' },
  fcntl: { type: 'boolean' },
  stale: { type: 'string' },
  update: { type: 'string' },
  break: { type: 'boolean' },
  who: { type: 'boolean' },
  json: { type: 'boolean' },
  verbose: { type: 'boolean' },
  quiet: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
  // Options of flock(1) that are not supported.
  unlock: { type: 'boolean', short: 'u' },
  close: { type: 'boolean', short: 'o' },
  'no-fork': { type: 'boolean', short: 'F' },
}

/** The other names of options, as flock(1) has them. */
const SAME = { e: 'exclusive', nonblocking: 'nonblock', nb: 'nonblock', wait: 'timeout' }

const meaning = (name) => SAME[name] ?? name

function refuse(why) {
  return () => {
    throw usageError(why)
  }
}

/** What each option changes in the request. */
const EFFECTS = {
  shared: (request) => Object.assign(request, { mode: 'shared' }),
  exclusive: (request) => Object.assign(request, { mode: 'exclusive' }),
  nonblock: (request) => Object.assign(request, { nonblock: true }),
  timeout: (request, value) => Object.assign(request, { timeout: milliseconds('timeout', value) }),
  'conflict-exit-code': (request, value) => Object.assign(request, { conflictExitCode: exitCode(value) }),
  permits: (request, value) => Object.assign(request, { permits: permits(value) }),
  protocol: (request, value) => Object.assign(request, { protocol: value }),
  fcntl: (request) => Object.assign(request, { protocol: 'fcntl' }),
  stale: (request, value) => Object.assign(request, { stale: milliseconds('stale', value) }),
  update: (request, value) => Object.assign(request, { update: milliseconds('update', value) }),
  break: (request) => Object.assign(request, { action: 'break' }),
  who: (request) => Object.assign(request, { action: 'who' }),
  json: (request) => Object.assign(request, { json: true }),
  verbose: (request) => Object.assign(request, { verbosity: 'verbose' }),
  quiet: (request) => Object.assign(request, { verbosity: 'quiet' }),
  help: (request) => Object.assign(request, { action: 'help' }),
  version: (request) => Object.assign(request, { action: 'version' }),
  command: refuse('-c, --command comes after FILE'),
  unlock: refuse('-u, --unlock is not supported: the lock goes when the command has ended'),
  close: refuse('-o, --close is not supported: the command keeps the lock if locket is killed'),
  'no-fork': refuse('-F, --no-fork is not supported: Node.js cannot become another program'),
}

/** Returns the request that the arguments make. Throws a usage error. */
function parse(args) {
  const request = { action: 'run', mode: 'exclusive', timeout: Infinity, conflictExitCode: 1 }
  const { tokens } = parseArgs({ args: args.map(inFull), options: OPTIONS, strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind === 'option') {
      apply(token, request)
      if (request.action === 'help' || request.action === 'version') return request
    } else if (token.kind === 'positional') {
      if (request.file !== undefined) {
        throw usageError(`--${request.action} takes one FILE, and no command: ${args[token.index]}`)
      }
      request.file = args[token.index]
      // --who and --break have no command, so more options may follow.
      if (request.action === 'run') return finish(request, args.slice(token.index + 1))
    }
  }
  if (request.file === undefined) throw usageError('FILE is missing')
  return checked(request)
}

/** Returns the request, unless its options do not go together. */
function checked(request) {
  if (request.json && request.action !== 'who') throw usageError('--json goes with --who')
  const { action, mode, permits, protocol = 'flock', stale, update } = request
  if (permits !== undefined) {
    // Not even by their defaults: it is no lock, and has neither a mode nor a protocol.
    if (mode === 'shared') throw usageError('--permits does not go with --shared')
    if (request.protocol !== undefined) throw usageError('--permits does not go with --protocol')
    if (action === 'break') throw usageError('--permits does not go with --break')
  }
  try {
    checkProtocol(protocol, { stale, update })
  } catch (error) {
    throw usageError(inOptions(error))
  }
  const isKernel = !isByExistence(protocol)
  if (action === 'break' && isKernel) throw usageError('--break takes a --protocol that locks by existence')
  if (action === 'run' && mode === 'shared' && !isKernel)
    throw usageError(`--shared: the protocol '${protocol}' has no shared locks`)
  return request
}

/** Returns the message of an error about an option of lockFile(), which has milliseconds, as one about the command's. */
const inOptions = ({ message, code }) =>
  message.replace(/^The (?:argument|value of) ['"]options\.(\w+)['"]/, '--$1') +
  (code === 'ERR_OUT_OF_RANGE' ? ' (in milliseconds)' : '')

function finish(request, rest) {
  checked(request)
  if (request.nonblock) request.timeout = 0
  const words = rest[0] === '--' ? rest.slice(1) : rest
  if (words.length === 0) throw missingCommand(request.file)
  if (words === rest && (rest[0] === '-c' || rest[0] === '--command')) {
    if (rest.length !== 2) throw usageError(`${rest[0]} takes exactly one argument`)
    return { ...request, line: rest[1] }
  }
  return { ...request, command: words }
}

function missingCommand(file) {
  if (/^\d+$/.test(file))
    return usageError(`COMMAND is missing (the descriptor of an open file cannot be locked: ${file})`)
  return usageError('COMMAND is missing')
}

function apply({ name, rawName, value }, request) {
  if (!Object.hasOwn(OPTIONS, name)) {
    const names = namesLike(name).map((each) => `--${each}`)
    if (names.length > 1 && rawName.startsWith('--')) throw usageError(`${rawName} may be ${names.join(' or ')}`)
    throw usageError(`unknown option ${rawName}`)
  }
  const takesValue = OPTIONS[name].type === 'string'
  if (takesValue && value === undefined) throw usageError(`${rawName} needs a value`)
  if (!takesValue && value !== undefined) throw usageError(`${rawName} takes no value`)
  EFFECTS[meaning(name)](request, value)
}

/** Returns a long option with its whole name: as in all GNU programs, an unambiguous prefix suffices. */
function inFull(arg) {
  const [, name, value = ''] = /^--([^=]+)(=.*)?$/s.exec(arg) ?? []
  if (name === undefined || Object.hasOwn(OPTIONS, name)) return arg
  const names = namesLike(name)
  return new Set(names.map(meaning)).size === 1 ? `--${names[0]}${value}` : arg
}

const namesLike = (name) => Object.keys(OPTIONS).filter((each) => each.startsWith(name))

function milliseconds(option, seconds) {
  const isNumber = /^\s*\+?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(seconds) && Number.isFinite(Number(seconds) * 1000)
  if (!isNumber) throw usageError(`invalid ${option}: '${seconds}'`)
  return Number(seconds) * 1000
}

function permits(text) {
  const count = /^\s*\+?\d+$/.test(text) ? Number(text) : NaN
  if (!(count >= 1 && count <= MOST_PERMITS)) throw usageError(`invalid permits (1 to ${MOST_PERMITS}): '${text}'`)
  return count
}

function exitCode(text) {
  const code = /^\s*[+-]?\d+$/.test(text) ? Number(text) : NaN
  if (!(code >= 0 && code <= 255)) throw usageError(`invalid exit code (0 to 255): '${text}'`)
  return code
}

module.exports = { MOST_PERMITS, OPTIONS, parse, SAME }
