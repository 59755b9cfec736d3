'use strict'

// The steps in the life of a lock, for tests in which the taker dies at each of them.

const assert = require('node:assert/strict')
const { after } = require('node:test')

const { holderOf } = require('../processes.js')

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

/**
 * Brings a subject to a step by `form`, a command of agent.js. Where it is stopped, it stays there for this `delay`. Returns
 * the other process that holds the lock meanwhile, if there is one.
 */
async function bring(t, it, form, { stop, waits, releases }, delay) {
  const other = waits ? await holderOf(t, it.file) : undefined
  const rule = stop && { ...stop, delay }
  if (rule && !releases) it.follow(rule)
  it.say(form)
  if (form === 'acquire') assert.equal(await it.line(), 'waiting')
  if ((!stop && !waits) || releases) assert.equal(await it.line(), 'acquired')
  if (releases) {
    it.follow(rule)
    it.say('release')
  }
  if (stop) await it.stopped()
  return other
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

module.exports = { bring, ROUNDS, STEPS, timesAfter, UNLOCK }
