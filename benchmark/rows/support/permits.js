'use strict'

const { setTimeout: sleep } = require('node:timers/promises')

const { now, spin, MILLISECOND } = require('./clock.js')

/**
 * Takes a permit of a semaphore and releases it, again and again: from the time `start`, for `turns` turns or for `duration`,
 * whichever is over first. Each is held for `hold`. All times are in nanoseconds of the clock of all processes.
 *
 * Resolves to the beginning and the end of each hold, how many had begun in time, and when the last was over.
 */
async function takePermits(semaphore, { start, turns = Infinity, duration = Infinity, hold = 0 }) {
  const holds = []
  const end = start + duration
  await sleep((start - now()) / MILLISECOND)
  while (holds.length < turns && now() < end) {
    const permit = await semaphore.acquire()
    const begun = now()
    if (hold > 0) spin(hold)
    holds.push([begun, now()])
    await permit.release()
  }
  return { holds, inTime: holds.filter(([begun]) => begun < end).length, ended: now() }
}

/** Throws if more than `permits` of the holds were held at once. */
function assertAtMost(permits, holds) {
  const [begins, ends] = [0, 1].map((side) => holds.map((hold) => hold[side]).sort((a, b) => a - b))
  const tooEarly = ends.findIndex((end, number) => begins[number + permits] < end)
  if (tooEarly !== -1) throw new Error(`let in more than ${permits} at once`)
}

module.exports = { assertAtMost, takePermits }
