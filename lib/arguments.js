'use strict'

// Checks of the arguments, before anything happens. Messages and codes are those of Node's own checks. The modules of Node
// are loaded where they are needed: most programs need none of them.

const { outOfRange, wrongType, wrongValue } = require('./invalid.js')

/** path.resolve(), once it is needed. */
let resolvePath

const MODES = ['exclusive', 'shared']
const DEFAULT_FILE_MODE = 0o666
const SLASH = 0x2f
const WINDOWS = process.platform === 'win32'

const wrongBoolean = (name, value) => wrongType(`options.${name}`, 'of type boolean', value)

const CHECKS = {
  timeout(value, name = 'options.timeout') {
    if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
    if (!(value >= 0)) throw outOfRange(name, '>= 0', value)
  },
  mode(value, name = 'options.mode') {
    if (!MODES.includes(value))
      throw wrongValue(name, `must be one of: ${MODES.map((m) => `'${m}'`).join(', ')}`, value)
  },
  signal(value) {
    if (!isSignal(value)) throw wrongType('options.signal', 'an instance of AbortSignal', value)
  },
  fileMode(value) {
    if (typeof value !== 'number') throw wrongType('options.fileMode', 'of type number', value)
    if (!Number.isInteger(value) || value < 0 || value > 0o7777) {
      throw outOfRange('options.fileMode', 'an integer >= 0 && <= 0o7777', value)
    }
  },
  removeOnRelease(value) {
    if (typeof value !== 'boolean') throw wrongBoolean('removeOnRelease', value)
  },
  allowDirectory(value) {
    if (typeof value !== 'boolean') throw wrongBoolean('allowDirectory', value)
  },
  protocol(value) {
    if (typeof value !== 'string') throw wrongType('options.protocol', 'of type string', value)
  },
  stale(value) {
    if (typeof value !== 'number') throw wrongType('options.stale', 'of type number', value)
  },
  update(value) {
    if (typeof value !== 'number') throw wrongType('options.update', 'of type number', value)
  },
}

/** Returns true for an AbortSignal of any realm or polyfill: its class differs there, its shape does not. */
function isSignal(value) {
  if (value === null || typeof value !== 'object') return false
  try {
    return (
      typeof value.aborted === 'boolean' &&
      typeof value.addEventListener === 'function' &&
      typeof value.removeEventListener === 'function'
    )
  } catch {
    // A getter was called on the wrong object, such as the prototype or a proxy.
    return false
  }
}

/** The options of a call without any. */
const NONE = Object.freeze({})

/** Checks `options`, and returns those that are set. An option that is undefined is not set. */
function checkOptions(options, known) {
  if (options === undefined) return NONE
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    // The waits that have a timeout take a number for it.
    const hint = typeof options === 'number' && known.includes('timeout') ? '{ timeout }' : undefined
    throw wrongType('options', `of type object${advice(hint, known)}`, options)
  }
  if (isSignal(options)) {
    const hint = known.includes('signal') ? '{ signal }' : undefined
    throw wrongValue('options', `must be an object of options, not a signal${advice(hint, known)}`, options)
  }
  for (const name in options) {
    if (known.includes(name) || options[name] === undefined) continue
    // A property that a program has added to all objects is no option.
    if (name in Object.prototype && !Object.hasOwn(options, name)) continue
    throw wrongValue(
      `options.${name}`,
      `is not an option of this function${advice(meant(options, name, known), known)}`,
      options[name],
    )
  }
  const checked = {}
  // By name: the options may be getters of a class, which are no own properties.
  for (const name of known) {
    const value = options[name]
    if (value === undefined) continue
    CHECKS[name](value)
    checked[name] = value
  }
  return checked
}

/** Same as checkOptions(), for a wait with a timeout: a number alone is the timeout. */
function checkWait(options, known) {
  if (typeof options !== 'number') return checkOptions(options, known)
  CHECKS.timeout(options, 'timeout')
  return { timeout: options }
}

/** `: did you mean { signal }? Its options are timeout, mode, signal` */
const advice = (hint, known) => `${hint ? `: did you mean ${hint}?` : '.'} Its options are ${known.join(', ')}`

/** Returns what was probably meant by `name`, a property of `options` that is none of the `known` ones, or undefined. */
function meant(options, name, known) {
  if (name === 'abort' && known.includes('signal') && isSignal(options.signal)) return '{ signal: controller.signal }'
  const [nearest] = known
    .map((option) => [option, distance(name.toLowerCase(), option.toLowerCase())])
    .sort(([, one], [, other]) => one - other)
    .find(([option, changes]) => changes <= Math.min(3, option.length / 2)) ?? [undefined]
  return nearest && `'${nearest}'`
}

/** Returns how many letters have to be changed, added or removed to turn one word into the other. */
function distance(one, other) {
  // A long name resembles no option, and would take long to compare.
  if (one.length > 2 * other.length) return Infinity
  let row = Array.from({ length: other.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1]
    for (let j = 0; j < other.length; j++) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (letter === other[j] ? 0 : 1)))
    }
    row = next
  }
  return row[other.length]
}

function checkTask(task) {
  if (typeof task !== 'function') throw wrongType('task', 'of type function', task)
}

/**
 * Returns `{ path }`, the absolute path. If that is not UTF-8, only its `bytes` tell the system which file is meant. `argument`:
 * the name of the argument.
 */
function checkPath(path, argument = 'path') {
  const name = typeof path === 'string' ? path : nameOf(path)
  if (name === undefined) throw wrongType(argument, 'of type string or an instance of Buffer or URL', path)
  if (name.length === 0) throw wrongValue(argument, 'must not be empty', path)
  if (name.includes('\0')) throw wrongValue(argument, 'must be a string, Uint8Array, or URL without null bytes', path)
  return typeof name === 'string' ? resolve(name) : resolveBytes(name)
}

/** Returns the name of a file, in bytes if it is not UTF-8, or undefined if `path` is neither bytes nor a URL. */
function nameOf(path) {
  if (isUrl(path)) return require('node:url').fileURLToPath(path.href)
  if (!require('node:util').types.isUint8Array(path)) return undefined
  const bytes = Buffer.from(path)
  return require('node:buffer').isUtf8(bytes) ? bytes.toString() : bytes
}

/** Returns true for a URL of any realm or polyfill. As for Node, the result of `url.parse` is none: it has `auth`. */
function isUrl(value) {
  return Boolean(value?.href && value.protocol && value.auth === undefined && value.path === undefined)
}

function resolve(name) {
  // Most paths are absolute and plain, and resolving them takes four times as long as this test.
  if (name[0] === '/' && !WINDOWS && !/\/(?:[./]|$)/.test(name)) return { path: name }
  if (WINDOWS) return { path: absolute(name) }
  const folder = name[0] === '/' ? '' : workingFolder()
  if (typeof folder !== 'string') return resolveBytes(Buffer.from(name))
  // In `link/..`, only the kernel knows which folder is meant.
  if (name.replace(/^(?:\.{0,2}\/)*/, '').includes('/..')) return { path: name[0] === '/' ? name : `${folder}/${name}` }
  // A slash at the end says that it is a folder. The kernel judges that.
  return { path: absolute(name) + (/[^/]\/+$/.test(name) ? '/' : '') }
}

function absolute(name) {
  resolvePath ??= require('node:path').resolve
  return resolvePath(name)
}

function resolveBytes(name) {
  const bytes = name[0] === SLASH ? name : Buffer.concat([workingFolder(), '/', name].map((part) => Buffer.from(part)))
  return { path: bytes.toString(), bytes }
}

/** Returns the working folder, in bytes if it is not UTF-8 and the system tells it: process.cwd() is damaged then. */
function workingFolder() {
  const folder = process.cwd()
  if (!folder.includes('\uFFFD')) return folder
  try {
    return require('node:fs').readlinkSync('/proc/self/cwd', 'buffer')
  } catch {
    return folder
  }
}

module.exports = { CHECKS, checkOptions, checkPath, checkTask, checkWait, DEFAULT_FILE_MODE, NONE }
