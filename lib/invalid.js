'use strict'

// The errors of invalid arguments, as Node makes them.

function invalid(Type, code, message) {
  return Object.assign(new Type(message), { code })
}

/** Returns the value as messages show it. Printing an object may run code of its own, which may throw. */
function show(value) {
  try {
    return require('node:util').inspect(value)
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

/** The error of a method that was called without its object, or on another one, such as a proxy. */
const wrongThis = (type, call) =>
  invalid(TypeError, 'ERR_INVALID_THIS', `Value of "this" must be of type ${type}: call it as a method, as in ${call}`)

module.exports = { outOfRange, wrongThis, wrongType, wrongValue }
