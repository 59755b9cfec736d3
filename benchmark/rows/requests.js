'use strict'

const path = require('node:path')

const { rateOf } = require('./support/rate.js')

const BATCH = 50

module.exports = {
  id: 'requests',
  title: 'A callback under the lock',
  detail:
    'A callback that does nothing is called under a lock that nobody else wants, one call after the other: by run() of one ' +
    'handle, and by request() of one name.',
  measures: [{ id: 'rate', title: 'calls', unit: 'per second', better: 'higher' }],
  takes: ({ openRuns }) => openRuns !== undefined,
  full: { duration: 600 },
  quick: { duration: 200 },
  async trial(contestant, { folder, duration }) {
    const run = contestant.openRuns(path.join(folder, 'a'))
    const calls = async (count) => {
      for (let i = 0; i < count; i++) await run(() => {})
    }
    return { rate: await rateOf(calls, duration, BATCH) }
  },
}
