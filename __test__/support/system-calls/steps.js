'use strict'

// The steps in the life of a lock, for tests in which the taker dies at each of them.

const { after } = require('node:test')

/** Of flock(2): the calls that unlock. */
const UNLOCK = 8

/**
 * `stop`: the system call before which the taker can be stopped; `holds`: does it hold the lock there?
 * `waits`: does somebody else? `releases`: is it about to release? `busy`: is it the thread of JavaScript that stops?
 */
const STEPS = {
  'while it opens the file': { stop: { call: 'open' } },
  'once the file is open': { stop: { call: 'fstat' } },
  'before it asks for the lock': { stop: { call: 'flock' } },
  'while it waits in the kernel': { waits: true },
  'once it has the lock, before it looks at the path': { stop: { call: 'stat' }, holds: true },
  'while it holds the lock': { holds: true },
  'before it unlocks': { stop: { call: 'flock', flags: UNLOCK }, holds: true, releases: true, busy: true },
}

/** How often each death is tried. */
const ROUNDS = Number(process.env.LOCKET_DEATHS ?? 1)

/** An array for how long the next one had to wait after each death, in ms. At the end its median is printed. */
function timesAfter(deaths) {
  const times = []
  after(() => {
    if (times.length === 0) return
    const sorted = times.toSorted((a, b) => a - b).map((time) => time.toFixed(1))
    const median = sorted[Math.floor(sorted.length / 2)]
    console.log(`${sorted.length} ${deaths}: next one in after ${median} ms, at most ${sorted.at(-1)} ms`)
  })
  return times
}

module.exports = { ROUNDS, STEPS, timesAfter, UNLOCK }
