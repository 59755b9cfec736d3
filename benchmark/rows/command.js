'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const { quantile } = require('./support/clock.js')

module.exports = {
  id: 'command',
  title: 'The command',
  detail:
    '`locket FILE true`, from its start to its end: the median of 10 runs (5 with --quick). The floor is the start of ' +
    'Node alone.',
  measures: [{ id: 'time', title: 'start to end', unit: 'ms', better: 'lower' }],
  takes: ({ command }) => command !== undefined,
  full: { count: 10 },
  quick: { count: 5 },
  trial(contestant, { folder, count }) {
    const [program, ...args] = contestant.command(path.join(folder, 'lock'))
    const run = () => {
      const start = performance.now()
      const { status, error } = spawnSync(program, args, { stdio: 'ignore' })
      if (status !== 0) throw error ?? new Error(`ended with ${status}`)
      return performance.now() - start
    }
    // To warm the page cache, and what the runtime caches of a program.
    run()
    return { time: quantile(Array.from({ length: count }, run), 0.5) }
  },
}
