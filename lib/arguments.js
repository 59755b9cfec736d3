'use strict'

// Checks of what users pass in, before anything happens. Messages and codes are those of Node's own checks.

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

const wrongType = (name, expected, value) =>
  invalid(TypeError, 'ERR_INVALID_ARG_TYPE', `The "${name}" argument must be ${expected}. Received ${inspect(value)}`)

const wrongValue = (name, problem, value) =>
  invalid(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument '${name}' ${problem}. Received ${inspect(value)}`)

const outOfRange = (name, range, value) =>
  invalid(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${range}. Received ${inspect(value)}`,
  )

const CHECKS = {
  timeout(value) {
    if (typeof value !== 'number') throw wrongType('options.timeout', 'of type number', value)
    if (!(value >= 0)) throw outOfRange('options.timeout', '>= 0', value)
  },
  mode(value) {
    if (!MODES.includes(value))
      throw wrongValue('options.mode', `must be one of: ${MODES.map((m) => `'${m}'`).join(', ')}`, value)
  },
  signal(value) {
    if (!(value instanceof AbortSignal)) throw wrongType('options.signal', 'an instance of AbortSignal', value)
  },
  fileMode(value) {
    if (typeof value !== 'number') throw wrongType('options.fileMode', 'of type number', value)
    if (!Number.isInteger(value) || value < 0 || value > 0o7777) {
      throw outOfRange('options.fileMode', 'an integer >= 0 && <= 0o7777', value)
    }
  },
  removeOnRelease(value) {
    if (typeof value !== 'boolean') throw wrongType('options.removeOnRelease', 'of type boolean', value)
  },
}

/** The options among `known` that are set, checked. An option that is undefined is not set. */
function checkOptions(options, known) {
  if (options === undefined) return {}
  if (options === null || typeof options !== 'object' || Array.isArray(options))
    throw wrongType('options', 'of type object', options)
  for (const name in options) {
    if (known.includes(name) || options[name] === undefined) continue
    // What somebody has added to all objects is no option.
    if (name in Object.prototype && !Object.hasOwn(options, name)) continue
    throw wrongValue(`options.${name}`, 'is not an option of this function', options[name])
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
  let name = path instanceof URL ? fileURLToPath(path) : path
  if (typeof name !== 'string') throw wrongType('path', 'of type string or an instance of Buffer or URL', path)
  checkContent(name, '\0', path)
  if (isResolved(name)) return { path: name }
  if (process.platform === 'win32') name = nodePath.resolve(name)
  // A slash at the end says that it is a folder: the kernel is to judge that.
  else if (!climbs(name)) name = nodePath.resolve(name) + (/[^/]\/+$/.test(name) ? '/' : '')
  else if (!nodePath.isAbsolute(name)) name = `${process.cwd()}/${name}`
  return { path: name }
}

/** Is the path as absolute and plain as it can be? Mostly it is, and this look is far cheaper than resolving. */
function isResolved(path) {
  return path[0] === '/' && process.platform !== 'win32' && !/\/(?:[./]|$)/.test(path)
}

/** A path that need not be UTF-8. */
function checkBytes(bytes) {
  const name = bytes.toString()
  if (Buffer.from(name).equals(bytes)) return checkPath(name)
  checkContent(bytes, 0, bytes)
  const absolute = bytes[0] === SLASH ? bytes : Buffer.concat([Buffer.from(`${process.cwd()}/`), bytes])
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

module.exports = { checkOptions, checkPath, checkTask, DEFAULT_FILE_MODE }
