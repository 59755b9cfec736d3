'use strict'

const fs = require('node:fs')
const path = require('node:path')

const { withAgents } = require('./support/agents.js')
const { now, MICROSECOND, MILLISECOND } = require('./support/clock.js')
const { countIn, ZERO } = require('./support/count.js')
const { footprint } = require('./support/processes.js')

const FAIRNESS_HOLD = 100 * MICROSECOND

/** How long the trial needs to tell all processes when to start: for each of them. */
const NOTICE = 2 * MILLISECOND

const LIMIT = 60_000

const contention = (processes) => ({
  id: `contention-${processes}`,
  title: `${processes} processes on one file`,
  detail:
    `${processes} processes add to a number in a shared file under the lock, 6,400 times in all (640 with --quick): ` +
    'from the common start until the last one is done. Then, for one second (0.3), they hold the lock for 100 µs ' +
    'each time: the turns of the unluckiest, divided by those of the luckiest. The final number is checked both ' +
    'times.',
  measures: [
    { id: 'total', title: 'total time', unit: 'ms', better: 'lower' },
    { id: 'share', title: 'unluckiest / luckiest', unit: '', better: 'higher' },
    { id: 'fewest', title: 'fewest turns', unit: '', better: 'none' },
    { id: 'most', title: 'most turns', unit: '', better: 'none' },
    { id: 'count', title: 'final count', unit: '', better: 'none' },
  ],
  kinds: ['kernel', 'file'],
  limit: LIMIT,
  // The turns of all processes together, however many they are: then their times can be compared.
  full: { turns: 6400, duration: 1000 * MILLISECOND },
  quick: { turns: 640, duration: 300 * MILLISECOND },
  trial(contestant, { folder, turns, duration }) {
    return withAgents(contestant, processes, [path.join(folder, 'lock')], async (agents) => {
      const { total, count } = await increments(agents, folder, turns)
      return { total, count, ...(await fairness(agents, folder, duration)) }
    })
  },
})

const processesCurve = {
  id: 'processes',
  title: 'Processes on one file',
  detail:
    'That many processes add to a number in a shared file under the lock, 3,200 times in all: from the common start ' +
    'until the last one is done; and the most threads and memory that any of the processes has then.',
  measures: [
    { id: 'total', title: 'total time', unit: 'ms', better: 'lower' },
    { id: 'threads', title: 'threads of a process', unit: 'threads', better: 'lower' },
    { id: 'memory', title: 'memory of a process', unit: 'MB', better: 'lower' },
  ],
  kinds: ['kernel', 'file'],
  limit: LIMIT,
  curve: { x: 'processes', points: [2, 8, 32, 64], quickPoints: [2, 8] },
  full: { turns: 3200 },
  quick: { turns: 640 },
  trial(contestant, { folder, turns, x }) {
    return withAgents(contestant, x, [path.join(folder, 'lock')], async (agents) => {
      const { total } = await increments(agents, folder, turns)
      const footprints = agents.map(({ pid }) => footprint(pid))
      const most = (measure) => Math.max(...footprints.map((each) => each[measure]))
      return { total, threads: most('threads'), memory: most('memory') }
    })
  },
}

/** All take equally many of the turns. How long that took, in milliseconds, and the final count. */
async function increments(agents, folder, turns) {
  const own = turns / agents.length
  const { start, records, count } = await race(agents, path.join(folder, 'counter'), { turns: own })
  const ended = Math.max(...records.map((record) => record.ended))
  return { total: (ended - start) / MILLISECOND, count }
}

/** All take as many turns as they get. How many the unluckiest and the luckiest had. */
async function fairness(agents, folder, duration) {
  const { records } = await race(agents, path.join(folder, 'fair'), { duration, hold: FAIRNESS_HOLD })
  const turns = records.map(({ inTime }) => inTime)
  const fewest = Math.min(...turns)
  const most = Math.max(...turns)
  return { share: fewest / most, fewest, most }
}

/** All agents add to the number in the file `counter`, starting at the same time. See support/count.js. */
async function race(agents, counter, options) {
  fs.writeFileSync(counter, ZERO)
  const start = now() + agents.length * NOTICE
  const answers = await Promise.all(agents.map((agent) => agent.ask('count', { counter, start, ...options })))
  const records = answers.map((answer) => JSON.parse(answer))
  const taken = records.reduce((sum, record) => sum + record.taken, 0)
  const count = countIn(counter)
  if (count !== taken) throw new Error(`lost ${taken - count} of ${taken} updates`)
  return { start, records, count }
}

module.exports = { contention, processesCurve }
