'use strict'

// Checks of what users pass in, before anything happens. Messages and codes are those of Node's own checks.

const fs = require('node:fs')
const nodePath = require('node:path')
const { fileURLToPath } = require('node:url')
const {
  inspect,
  types: { isUint8Array },
} = require('node:util')

const MODES = ['exclusive', 'shared']
const DEFAULT_FILE_MODE = 0o666
const SLASH = 0x2f

function invalid(Type, code, message) {
  return Object.assign(new Type(message), { code })
}

/** A value as messages show it. To print an object may run code that does not know it. */
function show(value) {
  try {
    return inspect(value)
  } catch {
    return `an ${typeof value} that cannot be shown`
  }
}

const wrongType = (name, expected, value) =>
  invalid(TypeError, 'ERR_INVALID_ARG_TYPE', `The "${name}" argument must be ${expected}. Received ${show(value)}`)

const wrongValue = (name, problem, value) =>
  invalid(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument '${name}' ${problem}. Received ${show(value)}`)

const outOfRange = (name, range, value) =>
  invalid(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${range}. Received ${show(value)}`,
  )

const wrongBoolean = (name, value) => wrongType(`options.${name}`, 'of type boolean', value)

const CHECKS = {
  timeout(value, name = 'options.timeout') {
    if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
    if (!(value >= 0)) throw outOfRange(name, '>= 0', value)
  },
  mode(value) {
    if (!MODES.includes(value))
      throw wrongValue('options.mode', `must be one of: ${MODES.map((m) => `'${m}'`).join(', ')}`, value)
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
}

/**
 * Returns true for an AbortSignal of any realm or polyfill. Its class says nothing there, so its shape does.
 */
function isSignal(value) {
  if (value === null || typeof value !== 'object') return false
  try {
    return (
      typeof value.aborted === 'boolean' &&
      typeof value.addEventListener === 'function' &&
      typeof value.removeEventListener === 'function'
    )
  } catch {
    // A getter that does not know its object, such as that of the prototype, or of a proxy.
    return false
  }
}

/** What is set where no options are given. */
const NONE = Object.freeze({})

/** Returns the options of `known` that are set, checked. An option that is undefined is not set. */
function checkOptions(options, known) {
  if (options === undefined) return NONE
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    // Where a wait has a timeout, a number is the timeout.
    const hint = typeof options === 'number' && known.includes('timeout') ? '{ timeout }' : undefined
    throw wrongType('options', `of type object${advice(hint, known)}`, options)
  }
  if (isSignal(options)) {
    const hint = known.includes('signal') ? '{ signal }' : undefined
    throw wrongValue('options', `must be an object of options, not a signal${advice(hint, known)}`, options)
  }
  for (const name in options) {
    if (known.includes(name) || options[name] === undefined) continue
    // What somebody has added to all objects is no option.
    if (name in Object.prototype && !Object.hasOwn(options, name)) continue
    throw wrongValue(
      `options.${name}`,
      `is not an option of this function${advice(meant(options, name, known), known)}`,
      options[name],
    )
  }
  const checked = {}
  // By their names, also where they are a class's: a getter is none of the object's own keys.
  for (const name of known) {
    const value = options[name]
    if (value === undefined) continue
    CHECKS[name](value)
    checked[name] = value
  }
  return checked
}

/** Returns the options of a wait. A number alone is its timeout. */
function checkWait(options, known) {
  if (typeof options !== 'number') return checkOptions(options, known)
  CHECKS.timeout(options, 'timeout')
  return { timeout: options }
}

/** `: did you mean { signal }? Its options are timeout, mode, signal` */
const advice = (hint, known) => `${hint ? `: did you mean ${hint}?` : '.'} Its options are ${known.join(', ')}`

/** Returns what was probably meant by an object with the property `name`, which is none of the `known` options. */
function meant(options, name, known) {
  if (name === 'abort' && known.includes('signal') && isSignal(options.signal)) return '{ signal: controller.signal }'
  const [nearest] = known
    .map((option) => [option, distance(name.toLowerCase(), option.toLowerCase())])
    .sort(([, one], [, other]) => one - other)
    .find(([option, changes]) => changes <= Math.min(3, option.length / 2)) ?? [undefined]
  return nearest && `'${nearest}'`
}

/** Returns how many letters have to be changed, added or left out to make one word of the other. */
function distance(one, other) {
  // A long name is like none of ours, and would take long to compare.
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
 * The absolute path, for people; with `bytes` where it is not UTF-8, and so only bytes tell the system what is meant.
 *
 * On Unix `a/../b` is left as it is: where `a` is a symbolic link, only the kernel knows what it names.
 */
function checkPath(path) {
  if (isUint8Array(path)) return checkBytes(Buffer.from(path))
  let name = isUrl(path) ? fileURLToPath(path.href) : path
  if (typeof name !== 'string') throw wrongType('path', 'of type string or an instance of Buffer or URL', path)
  checkContent(name, '\0', path)
  if (isResolved(name)) return { path: name }
  const folder = nodePath.isAbsolute(name) ? undefined : folderInBytes()
  if (folder !== undefined) return checkBytes(Buffer.concat([folder, Buffer.from(`/${name}`)]))
  if (process.platform === 'win32') name = nodePath.resolve(name)
  // A slash at the end says that it is a folder: the kernel is to judge that.
  else if (!climbs(name)) name = nodePath.resolve(name) + (/[^/]\/+$/.test(name) ? '/' : '')
  else if (!nodePath.isAbsolute(name)) name = `${process.cwd()}/${name}`
  return { path: name }
}

/** Returns true for a URL of any realm or polyfill. As Node does: what `url.parse` gives has `auth` and `path`. */
function isUrl(value) {
  return Boolean(value?.href && value.protocol && value.auth === undefined && value.path === undefined)
}

/** Is the path as absolute and plain as it can be? Mostly it is, and this look is far cheaper than resolving. */
function isResolved(path) {
  return path[0] === '/' && process.platform !== 'win32' && !/\/(?:[./]|$)/.test(path)
}

/** The working folder, if its name is not UTF-8 and the system tells it: process.cwd() has U+FFFD in its place. */
function folderInBytes() {
  if (!process.cwd().includes('\uFFFD')) return undefined
  try {
    return fs.readlinkSync('/proc/self/cwd', 'buffer')
  } catch {
    return undefined
  }
}

/** A path that need not be UTF-8. */
function checkBytes(bytes) {
  const name = bytes.toString()
  if (Buffer.from(name).equals(bytes)) return checkPath(name)
  checkContent(bytes, 0, bytes)
  const absolute =
    bytes[0] === SLASH ? bytes : Buffer.concat([folderInBytes() ?? Buffer.from(process.cwd()), Buffer.from('/'), bytes])
  return { path: absolute.toString(), bytes: absolute }
}

function checkContent(name, nul, path) {
  if (name.length === 0) throw wrongValue('path', 'must not be empty', path)
  if (name.includes(nul)) throw wrongValue('path', 'must be a string, Uint8Array, or URL without null bytes', path)
}

/** Does the path leave, by `..`, a folder that it names? */
function climbs(path) {
  if (!path.includes('..')) return false
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.')
  const named = segments.findIndex((segment) => segment !== '..')
  return named !== -1 && segments.includes('..', named)
}

module.exports = { checkOptions, checkPath, checkTask, checkWait, DEFAULT_FILE_MODE, NONE }
