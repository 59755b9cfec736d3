'use strict'

const fs = require('node:fs')
const { setTimeout: sleep } = require('node:timers/promises')

const { now, spin, MILLISECOND } = require('./clock.js')

/** What a counter file holds at first. */
const ZERO = Buffer.alloc(4)

/** The number in a counter file. */
const countIn = (counter) => fs.readFileSync(counter).readUInt32LE()

/**
 * Increments the number in the file `counter` under the lock, again and again: from the time `start`, for `turns`
 * turns or for `duration`, whichever is over first. Each turn reads, goes on for `hold`, and writes: another process that
 * gets in meanwhile makes the final count wrong. All times are in nanoseconds of the clock of all processes.
 *
 * Resolves to the turns taken, how many of them had begun in time, and when the last was over.
 */
async function count(handle, { counter, start, turns = Infinity, duration = Infinity, hold = 0 }) {
  const file = fs.openSync(counter, 'r+')
  const number = Buffer.alloc(ZERO.length)
  const end = start + duration
  await sleep((start - now()) / MILLISECOND)

  let taken = 0
  let inTime = 0
  while (taken < turns && now() < end) {
    await handle.acquire()
    if (now() < end) inTime++
    fs.readSync(file, number, 0, number.length, 0)
    if (hold > 0) spin(hold)
    number.writeUInt32LE(number.readUInt32LE() + 1)
    fs.writeSync(file, number, 0, number.length, 0)
    await handle.release()
    taken++
  }
  return { taken, inTime, ended: now() }
}

module.exports = { count, countIn, ZERO }
