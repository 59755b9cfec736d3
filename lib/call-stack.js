'use strict'

// Adds the caller's frames to an error whose promise nobody awaits. V8 follows a promise to the caller's `await`; without one,
// an error that is made after the wait has no frame of the caller.

const FRAME = '\n    at '

/** How many calls are captured at a time. If many waits begin at once, capturing takes longer than the rest of them. */
const CAPTURED = 100
let captured = 0

/** Returns the calls that lead here, unless too many are captured. Give it to {@link forgetCall} after the wait. */
function captureCall() {
  if (captured >= CAPTURED) return undefined
  captured += 1
  const call = {}
  Error.captureStackTrace(call, captureCall)
  return call
}

/** The wait that `call` was captured for has ended. */
function forgetCall(call) {
  if (call !== undefined) captured -= 1
}

const isOurs = (frame) => frame.includes(__dirname) || frame.includes('node:')

/** Returns `error`. Its stack ends with the frames of `call`, if it has none of the caller's itself. */
function withCall(error, call) {
  // A program may have its own idea of what a stack is: Error.prepareStackTrace.
  if (typeof call?.stack !== 'string' || typeof error.stack !== 'string') return error
  if (!error.stack.split(FRAME).slice(1).every(isOurs)) return error
  const frames = call.stack.split(FRAME).slice(1)
  const first = frames.findIndex((frame) => !isOurs(frame))
  if (first !== -1) error.stack += FRAME + frames.slice(first).join(FRAME)
  return error
}

module.exports = { captureCall, forgetCall, withCall }
