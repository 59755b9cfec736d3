'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')

const { withAgents } = require('./support/agents.js')
const { now, MICROSECOND, MILLISECOND } = require('./support/clock.js')
const { assertAtMost } = require('./support/permits.js')

const PERMITS = 4
const PROCESSES = 32
const HOLD = 100 * MICROSECOND
/** How long the trial needs to tell all processes when to start: for each of them. */
const NOTICE = 2 * MILLISECOND

const processes = {
  id: 'semaphore',
  title: `A semaphore under ${PROCESSES} processes`,
  detail:
    `${PROCESSES} processes take ${PERMITS} permits and release them, 6,400 times in all (640 with --quick): from the common ` +
    'start until the last one is done. Then, for one second (0.3), they hold a permit for 100 µs each time: the turns of the ' +
    'unluckiest, divided by those of the luckiest. From the times of all holds it is checked that no more were held at once.',
  measures: [
    { id: 'total', title: 'total time', unit: 'ms', better: 'lower' },
    { id: 'share', title: 'unluckiest / luckiest', unit: '', better: 'higher' },
    { id: 'fewest', title: 'fewest turns', unit: '', better: 'none' },
    { id: 'most', title: 'most turns', unit: '', better: 'none' },
  ],
  takes: ({ limitsProcesses = false }) => limitsProcesses,
  limit: 60_000,
  full: { turns: 6400, duration: 1000 * MILLISECOND },
  quick: { turns: 640, duration: 300 * MILLISECOND },
  trial(contestant, { folder, turns, duration }) {
    return withAgents(contestant, PROCESSES, [path.join(folder, 'slots')], async (agents) => {
      const { start, records } = await race(agents, { turns: turns / PROCESSES })
      const total = (Math.max(...records.map(({ ended }) => ended)) - start) / MILLISECOND
      const fair = await race(agents, { duration, hold: HOLD })
      const numbers = fair.records.map(({ inTime }) => inTime)
      const [fewest, most] = [Math.min(...numbers), Math.max(...numbers)]
      return { total, share: fewest / most, fewest, most }
    })
  },
}

/** All agents take permits, starting at the same time. See support/permits.js. */
async function race(agents, options) {
  const start = now() + agents.length * NOTICE
  const answers = await Promise.all(
    agents.map((agent) => agent.ask('permits', { permits: PERMITS, start, ...options })),
  )
  const records = answers.map((answer) => JSON.parse(answer))
  assertAtMost(
    PERMITS,
    records.flatMap(({ holds }) => holds),
  )
  return { start, records }
}

const commands = {
  id: 'semaphore-command',
  title: `A semaphore under ${PROCESSES} commands`,
  detail:
    `${PROCESSES} commands are started at once (16 with --quick), each of which runs \`sleep 0.1\` with one of ${PERMITS} permits: ` +
    'until the last of them has ended. The sleeps alone take 0.8 s (0.4).',
  measures: [{ id: 'total', title: 'total time', unit: 'ms', better: 'lower' }],
  takes: ({ limitCommand }) => limitCommand !== undefined,
  rounds: 3,
  full: { count: PROCESSES },
  quick: { count: PROCESSES / 2 },
  async trial(contestant, { folder, count }) {
    const [program, ...args] = contestant.limitCommand(path.join(folder, 'slots'), PERMITS)
    // sem has its files in the home folder.
    const options = { stdio: 'ignore', env: { ...process.env, HOME: folder } }
    const start = performance.now()
    const runs = Array.from({ length: count }, async () => {
      const [code, signal] = await once(spawn(program, [...args, 'sleep', '0.1'], options), 'exit')
      if (code !== 0) throw new Error(`ended with ${signal ?? code}`)
    })
    await Promise.all(runs)
    return { total: performance.now() - start }
  },
}

module.exports = [processes, commands]
