'use strict'

/** Taken at load: a test may replace them by timers whose clock stands still. */
const { setTimeout, clearTimeout, setInterval, setImmediate } = globalThis

/** The longest time of a timer of Node, in milliseconds. */
const LONGEST = 2 ** 31 - 1

/** The number of calls whose promise is pending, and a timer that keeps the process alive for them. */
let pending = 0
let timer

/** Keeps the process alive until letGo() is called as often. */
function keepAlive() {
  timer ??= setInterval(() => {}, LONGEST)
  if (pending++ === 0) timer.ref?.()
}

function letGo() {
  if (--pending === 0) timer.unref?.()
}

/** Calls `callback` once, after this time. Does not keep the process alive. Returns a function that takes it back. */
function after(milliseconds, callback) {
  const end = performance.now() + milliseconds
  let handle
  const start = (rest) => {
    handle = setTimeout(() => (end - performance.now() >= 1 ? start(end - performance.now()) : callback()), rest)
    handle.unref?.()
  }
  if (milliseconds < Infinity) start(Math.min(milliseconds, LONGEST))
  return () => clearTimeout(handle)
}

/**
 * Calls `expired` unless `promise` is settled within this time. What has arrived by then counts, also if the event loop was
 * blocked and has not read it yet. Resolves as the promise does.
 */
async function within(milliseconds, promise, expired) {
  let isSettled = false
  const stop = after(milliseconds, () => setImmediate(() => isSettled || expired()))
  try {
    return await promise
  } finally {
    isSettled = true
    stop()
  }
}

/** Resolves after this time. */
const sleep = (milliseconds) => new Promise((resolve) => after(milliseconds, resolve))

module.exports = { after, keepAlive, letGo, sleep, within }
