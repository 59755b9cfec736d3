'use strict'

// Adds the caller's frames to an error whose promise nobody awaits. V8 finds the caller by its `await`; without one, an
// error that is made after the wait has no frame of the caller.

const FRAME = '\n    at '

/** The most calls that are captured at a time: with many waits, capturing takes longer than everything else. */
const CAPTURED = 100
let captured = 0

/** Captures the caller's stack, unless too many are captured. Pass the result to {@link forgetCall} after the wait. */
function captureCall() {
  if (captured >= CAPTURED) return undefined
  captured += 1
  const call = {}
  Error.captureStackTrace(call, captureCall)
  return call
}

/** Tells that the wait for which `call` was captured has ended. */
function forgetCall(call) {
  if (call !== undefined) captured -= 1
}

/** What is in the frames of this package. Bundled as an ES module, it has no folder: then nothing tells its own from others. */
const OWN = typeof __dirname === 'undefined' ? 'node:' : __dirname

/** Returns true for a frame of this package, of Node, or of a function that the language has, such as next(). */
const isOurs = (frame) => frame.includes(OWN) || frame.includes('node:') || frame.trimEnd().endsWith('(<anonymous>)')

/** Appends the frames of `call` to the stack of `error`, if that has none of the caller's. Returns `error`. */
function withCall(error, call) {
  // A program can make anything of a stack: Error.prepareStackTrace.
  if (typeof call?.stack !== 'string' || typeof error.stack !== 'string') return error
  if (!error.stack.split(FRAME).slice(1).every(isOurs)) return error
  const frames = call.stack.split(FRAME).slice(1)
  const first = frames.findIndex((frame) => !isOurs(frame))
  if (first !== -1) error.stack += FRAME + frames.slice(first).join(FRAME)
  return error
}

module.exports = { captureCall, forgetCall, withCall }
