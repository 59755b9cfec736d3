'use strict'

const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { withAgents } = require('./support/agents.js')
const { MILLISECOND } = require('./support/clock.js')
const { usage, used } = require('./support/processes.js')

module.exports = {
  id: 'idle-waiter',
  title: 'What a waiter costs while it waits',
  detail:
    'A process waits for a lock that another one holds: the processor time and the context switches of all its ' +
    'threads in 5 seconds (1 with --quick), by the books of the Linux kernel; not measured on other systems.',
  measures: [
    { id: 'cpu', title: 'processor time', unit: 'ms', better: 'lower' },
    { id: 'switches', title: 'context switches', unit: '', better: 'lower' },
  ],
  kinds: ['kernel', 'file'],
  rounds: 2,
  // In milliseconds: how long the wait is watched, after how long. A process is busy at first.
  full: { settle: 1000, watch: 5000 },
  quick: { settle: 300, watch: 1000 },
  trial(contestant, { folder, settle, watch }) {
    return withAgents(contestant, 2, [path.join(folder, 'lock')], async ([holder, waiter]) => {
      await holder.ask('acquire')
      waiter.say('acquire')
      await sleep(settle)

      const before = usage(waiter.pid)
      await sleep(watch)
      const { cpu, switches } = used(before, usage(waiter.pid))

      holder.say('release')
      await waiter.line()
      const [[{ left }], [{ entered }]] = await Promise.all([holder.log(), waiter.log()])
      if (entered < left) throw new Error('let in two processes at once')
      return { cpu: cpu / MILLISECOND, switches }
    })
  },
}
