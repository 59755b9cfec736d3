'use strict'

const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { withAgents } = require('./support/agents.js')
const { MILLISECOND } = require('./support/clock.js')
const { usage, used } = require('./support/processes.js')

/** How long the wait is watched, in milliseconds, and how long it has lasted by then: a process is busy at first. */
const WATCH = { full: 10_000, quick: 1000 }
const SETTLE = { full: 1000, quick: 300 }

module.exports = {
  id: 'idle-waiter',
  title: 'What a waiter costs while it waits',
  detail:
    'A process waits for a lock that another one holds: the processor time and the context switches of all its ' +
    'threads in 10 seconds (1 with --quick), by the books of the Linux kernel; not measured on other systems.',
  measures: [
    { id: 'cpu', title: 'processor time', unit: 'ms', better: 'lower' },
    { id: 'switches', title: 'context switches', unit: '', better: 'lower' },
  ],
  kinds: ['kernel', 'file'],
  rounds: 2,
  trial(contestant, { folder, quick }) {
    return withAgents(contestant, 2, [path.join(folder, 'lock')], async ([holder, waiter]) => {
      await holder.ask('acquire')
      waiter.say('acquire')
      await sleep(quick ? SETTLE.quick : SETTLE.full)

      const before = usage(waiter.pid)
      await sleep(quick ? WATCH.quick : WATCH.full)
      const { cpu, switches } = used(before, usage(waiter.pid))

      holder.say('release')
      await waiter.line()
      const [[{ left }], [{ entered }]] = await Promise.all([holder.log(), waiter.log()])
      if (entered < left) throw new Error('let in two processes at once')
      return { cpu: cpu / MILLISECOND, switches }
    })
  },
}
