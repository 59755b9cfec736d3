'use strict'

/** The time in nanoseconds, by the clock that all processes share: it is time.monotonic_ns() in Python too. */
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

module.exports = { now, sleepSync, spin, MICROSECOND, MILLISECOND }
