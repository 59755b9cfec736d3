'use strict'

const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { withAgents } = require('./support/agents.js')
const { now, quantile, within, MILLISECOND } = require('./support/clock.js')

/** After this time no further holder is killed: a lock that takes seconds to notice is tried only once. */
const BUDGET = 3000 * MILLISECOND

/** How long the next one waits before the kill, in milliseconds: random, for those who look only now and then. */
const randomWait = () => 50 + Math.random() * 50

module.exports = {
  id: 'killed-holder',
  title: 'Holder killed, next one in',
  detail:
    'The holder is killed with SIGKILL while another process waits: from right before the kill until acquire() has ' +
    'resolved. The dying of the process is part of it. 10 kills, or a single one where that takes seconds. After 15 ' +
    'seconds (2 with --quick) it has failed.',
  measures: [
    { id: 'p50', title: 'p50', unit: 'ms', better: 'lower' },
    { id: 'slowest', title: 'slowest', unit: 'ms', better: 'lower' },
    { id: 'count', title: 'kills', unit: '', better: 'none' },
  ],
  kinds: ['kernel', 'file'],
  rounds: 3,
  // `patience`: the longest that the next one may take, in milliseconds.
  full: { kills: 10, patience: 15_000 },
  quick: { kills: 4, patience: 2000 },
  async trial(contestant, { folder, kills, patience }) {
    const latencies = await withAgents(contestant, kills + 1, [path.join(folder, 'lock')], (agents) =>
      succession(agents, patience),
    )
    return {
      p50: quantile(latencies, 0.5) / MILLISECOND,
      slowest: Math.max(...latencies) / MILLISECOND,
      count: latencies.length,
    }
  },
}

/** Kills one after the other. How long it took each time until the next one had the lock, in nanoseconds. */
async function succession([first, ...others], patience) {
  const latencies = []
  const end = now() + BUDGET
  let holder = first
  await holder.ask('acquire')
  for (const waiter of others) {
    latencies.push(await succeed(holder, waiter, patience))
    if (now() > end) break
    holder = waiter
  }
  return latencies
}

/** Kills the holder. How long it takes until the waiter has the lock, in nanoseconds. */
async function succeed(holder, waiter, patience) {
  waiter.say('acquire')
  await sleep(randomWait())
  const killed = now()
  holder.kill()
  await within(patience, waiter.line(), () => 'nobody got in')
  const [{ entered }] = await waiter.log()
  if (entered < killed) throw new Error('let in two processes at once')
  return entered - killed
}
