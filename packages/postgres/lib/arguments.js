'use strict'

// Checks of the arguments, before anything happens. Nothing that may contain a password gets into a message.

const { CHECKS, checkOptions } = require('../../../lib/arguments.js')
const { outOfRange, wrongType, wrongValue } = require('../../../lib/invalid.js')

/** What pg reads as a URL, or as the path of a socket. Of other strings it makes a connection to some other host. */
const CONNECTION_STRING = /^(?:postgres(?:ql)?:\/\/|socket:|\/)/i

Object.assign(CHECKS, {
  connection(value) {
    if (typeof value === 'string' || value instanceof URL) return checkString('options.connection', String(value))
    // No other object that Node or the language has: pg would ignore it, and connect to what the environment says.
    const isObject = Object.prototype.toString.call(value) === '[object Object]'
    if (!isObject || typeof value.connect === 'function') throw wrongConnection(value)
    const { connectionString } = value
    if (typeof connectionString === 'string') checkString('options.connection.connectionString', connectionString)
  },
  maxSessions(value) {
    if (typeof value !== 'number') throw wrongType('options.maxSessions', 'of type number', value)
    if (!Number.isInteger(value) || value < 1) throw outOfRange('options.maxSessions', 'an integer >= 1', value)
  },
  allowPooler(value) {
    if (typeof value !== 'boolean') throw wrongType('options.allowPooler', 'of type boolean', value)
  },
})

/** A type error that does not show the value. */
const secretive = (message, code = 'ERR_INVALID_ARG_TYPE') => Object.assign(new TypeError(message), { code })

function checkString(name, value) {
  if (CONNECTION_STRING.test(value)) return
  const message = `The "${name}" argument must begin with postgres:// or postgresql://, or be the path of a socket`
  throw secretive(message, 'ERR_INVALID_ARG_VALUE')
}

function wrongConnection(value) {
  const received = typeof value === 'object' ? `an instance of ${value?.constructor?.name}` : `type ${typeof value}`
  return secretive(
    'The "options.connection" argument must be a connection string, a URL or the options of a pg Client, no Client and no Pool: ' +
      `a lock needs sessions of its own. Pass the \`options\` of a Pool. Received ${value === null ? 'null' : received}`,
  )
}

/** Checks the options of a handle, and returns those that are set. */
function checkLockOptions(options, known) {
  if (typeof options === 'string') {
    throw secretive('The "options" argument must be of type object: did you mean { connection }? Received a string')
  }
  return checkOptions(withoutSecrets(options, known), known)
}

/** Returns the options, whose check fails in the same way, but shows no string that may be a connection string. */
function withoutSecrets(options, known) {
  if (options === null || typeof options !== 'object') return options
  const hasSecret = Object.keys(options).some((name) => !known.includes(name) && typeof options[name] === 'string')
  if (!hasSecret) return options
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [
      name,
      typeof value === 'string' && !known.includes(name) ? '…' : value,
    ]),
  )
}

function checkName(name) {
  if (typeof name !== 'string') throw wrongType('name', 'of type string', name)
  if (name === '') throw wrongValue('name', 'must not be empty', name)
  if (name.includes('\0')) throw wrongValue('name', 'must be a string without null bytes', name)
}

const cyclicConnection = () => secretive('The "options.connection" argument must not contain itself')

module.exports = { checkLockOptions, checkName, cyclicConnection }
