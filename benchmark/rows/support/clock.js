'use strict'

/** The time in nanoseconds, by the clock that all processes share. It is time.monotonic_ns() in Python too. */
const now = () => Number(process.hrtime.bigint())

const MICROSECOND = 1e3
const MILLISECOND = 1e6

const cell = new Int32Array(new SharedArrayBuffer(4))

/** Blocks the thread for that many nanoseconds, asleep: exact to some 60 µs, where a timer is to a millisecond. */
function sleepSync(duration) {
  Atomics.wait(cell, 0, 0, duration / MILLISECOND)
}

/** Blocks the thread for that many nanoseconds, busy. */
function spin(duration) {
  const end = now() + duration
  while (now() < end);
}

/**
 * Resolves as `promise` does, if that is within `ms` milliseconds. Otherwise it rejects: the trial has failed. `progress()`
 * says how far it has come.
 */
async function within(ms, promise, progress) {
  let timer
  const late = new Promise((_, reject) => {
    // Marked, so that no more of the run's time is spent on it.
    const fail = () => reject(Object.assign(new Error(`${progress()} within ${ms / 1000} s`), { timedOut: true }))
    timer = setTimeout(fail, ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** The value below which that share of the values lies: 0.5 for the median. */
function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

module.exports = { now, quantile, sleepSync, spin, within, MICROSECOND, MILLISECOND }
