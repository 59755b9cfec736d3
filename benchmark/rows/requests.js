'use strict'

const path = require('node:path')

const BATCH = 50

/** In milliseconds. */
const WARM_UP = 100

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
    await rateOf(run, WARM_UP)
    return { rate: await rateOf(run, duration) }
  },
}

/** Calls per second. */
async function rateOf(run, duration) {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  while (elapsed < duration) {
    for (let i = 0; i < BATCH; i++) await run(() => {})
    count += BATCH
    elapsed = performance.now() - start
  }
  return (count / elapsed) * 1000
}
