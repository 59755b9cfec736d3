'use strict'

const path = require('node:path')

const { contestant: contestantOf } = require('../contestants/index.js')
const { withAgents } = require('./support/agents.js')
const { now, MILLISECOND } = require('./support/clock.js')

/** The contestant that waits, in all trials: a program in the same protocol that knows nothing of the holder's package. */
const OTHER = 'proper-lockfile'

module.exports = {
  id: 'blocked-loop',
  title: 'A holder whose event loop is blocked',
  detail:
    'A process holds the lock and blocks its event loop for 30 seconds, while another one waits with proper-lockfile; ' +
    'both with its default `stale` of 10 seconds (4 and 2 seconds with --quick). For how long the lock is kept: all ' +
    'that time, or until the other one gets in although it is held.',
  measures: [{ id: 'kept', title: 'kept for', unit: 's', better: 'higher' }],
  kinds: ['file'],
  rounds: 1,
  limit: 45_000,
  // In milliseconds. The first lock of a process of proper-lockfile may bear a time that is a second ahead.
  full: { duration: 30_000, stale: 10_000 },
  quick: { duration: 4000, stale: 2000 },
  trial(contestant, { folder, duration, stale }) {
    const file = path.join(folder, 'lock')
    return withAgents(contestant, 1, [file], async ([holder]) => {
      await holder.ask('block', { duration, stale })
      const start = now()
      await contestantOf(OTHER).open(file, { stale }).acquire()
      return { kept: Math.min((now() - start) / MILLISECOND, duration) / 1000 }
    })
  },
}
