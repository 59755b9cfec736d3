'use strict'

// The options of request() of a LockManager: converted and refused as the standard says.

const { internals } = require('./index.js')
const { wrongType } = require('./invalid.js')

const { CHECKS } = internals.checks

/** The options of a request without any. */
const DEFAULTS = { ifAvailable: false, mode: 'exclusive', signal: undefined, steal: false, timeout: undefined }

/** Converts options as Web IDL does: one after the other in alphabetical order. One that is undefined is not set. */
function toOptions(value) {
  if (value === undefined || value === null) return DEFAULTS
  if (typeof value !== 'object' && typeof value !== 'function') throw wrongType('options', 'of type object', value)
  const options = { ...DEFAULTS }
  options.ifAvailable = Boolean(value.ifAvailable)
  const { mode } = value
  if (mode !== undefined) {
    options.mode = `${mode}`
    CHECKS.mode(options.mode)
  }
  options.signal = value.signal
  if (options.signal !== undefined) CHECKS.signal(options.signal)
  options.steal = Boolean(value.steal)
  options.timeout = value.timeout
  if (options.timeout !== undefined) CHECKS.timeout(options.timeout)
  return options
}

const notSupported = (message) => new DOMException(message, 'NotSupportedError')

/** Throws what the standard refuses, in its order. */
function refuse(name, { ifAvailable, mode, signal, steal: steals, timeout }) {
  if (name[0] === '-') throw notSupported("The name of a lock must not begin with '-'")
  if (steals && ifAvailable) throw notSupported("The options 'steal' and 'ifAvailable' exclude each other")
  if (steals && mode !== 'exclusive') throw notSupported("The option 'steal' is for exclusive locks only")
  if (!steals && !ifAvailable) return
  const waits = `a request with '${steals ? 'steal' : 'ifAvailable'}' does not wait`
  if (signal !== undefined) throw notSupported(`The option 'signal' ends a wait: ${waits}`)
  if (timeout !== undefined) throw notSupported(`The option 'timeout' limits a wait: ${waits}`)
}

/** Throws the reason of a signal that has fired. A polyfill may have none. */
function throwIfAborted(signal) {
  if (!signal?.aborted) return
  throw signal.reason === undefined ? new DOMException('The request was aborted', 'AbortError') : signal.reason
}

/** Throws the reason of the signal if that has ended a wait, else the `error` of the wait. */
function throwFailure(error, { signal }) {
  if (error.code === 'ABORT_ERR') throwIfAborted(signal)
  throw error
}

module.exports = { DEFAULTS, notSupported, refuse, throwFailure, throwIfAborted, toOptions }
