'use strict'

const path = require('node:path')

const { withAgents } = require('./support/agents.js')
const { now, quantile, sleepSync, MICROSECOND, MILLISECOND } = require('./support/clock.js')

/** The shortest and the longest wait before the holder releases. */
const WAIT = [200 * MICROSECOND, 2 * MILLISECOND]

const randomWait = () => WAIT[0] + Math.random() * (WAIT[1] - WAIT[0])

module.exports = {
  id: 'hand-over',
  title: 'Hand-over between two processes',
  detail:
    'A process waits for the lock that another one holds, which releases it after 0.2 to 2 ms, at random; then they ' +
    'change places, 400 times or for three seconds. From right before release() in the one until acquire() has ' +
    'resolved in the other, where the other had asked by then.',
  measures: [
    { id: 'p50', title: 'p50', unit: 'µs', better: 'lower' },
    { id: 'p99', title: 'p99', unit: 'µs', better: 'lower' },
    { id: 'count', title: 'hand-overs', unit: '', better: 'none' },
  ],
  kinds: ['kernel', 'file'],
  // Locks that poll have fewer hand-overs than the others within the budget.
  full: { most: 400, budget: 3000 * MILLISECOND },
  quick: { most: 100, budget: 800 * MILLISECOND },
  async trial(contestant, { folder, most, budget }) {
    const turns = await withAgents(contestant, 2, [path.join(folder, 'lock')], async (agents) => {
      await takeTurns(agents, most, now() + budget)
      const logs = await Promise.all(agents.map((agent) => agent.log()))
      return logs.flat()
    })
    const latencies = handOvers(turns)
    return {
      p50: quantile(latencies, 0.5) / MICROSECOND,
      p99: quantile(latencies, 0.99) / MICROSECOND,
      count: latencies.length,
    }
  },
}

/** Two agents take turns, that many times, or until the time is over. */
async function takeTurns([holder, waiter], count, end) {
  await holder.ask('acquire')
  for (let turn = 0; turn < count && now() < end; turn++) {
    waiter.say('acquire')
    // The waiter needs as long to hear this as the holder needs to hear the next, so it waits for about this time.
    sleepSync(randomWait())
    holder.say('release')
    await waiter.line()
    ;[holder, waiter] = [waiter, holder]
  }
}

/** The time between each release and the next one's entry, in nanoseconds, where the next one was waiting by then. */
function handOvers(turns) {
  turns.sort((a, b) => a.entered - b.entered)
  const latencies = []
  for (const [index, next] of turns.entries()) {
    if (index === 0) continue
    const { left } = turns[index - 1]
    if (next.entered < left) throw new Error('let in two processes at once')
    if (next.asked < left) latencies.push(next.entered - left)
  }
  return latencies
}
