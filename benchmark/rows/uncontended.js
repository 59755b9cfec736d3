'use strict'

const path = require('node:path')

const BATCH = 50

/** In milliseconds. After the warm-up the code is compiled, and threads have been started. */
const WARM_UP = 100

const uncontended = (id, title, detail, kinds, turnsOf) => ({
  id,
  title,
  detail,
  measures: [{ id: 'rate', title: 'locks', unit: 'per second', better: 'higher' }],
  kinds,
  full: { duration: 1000 },
  quick: { duration: 200 },
  async trial(contestant, { folder, duration }) {
    const turns = turnsOf(contestant.open(path.join(folder, 'a.lock')))
    await rateOf(turns, WARM_UP)
    return { rate: await rateOf(turns, duration) }
  },
})

/** Turns per second. `turns(count)` takes that many, and is called again and again for `duration` ms. */
async function rateOf(turns, duration) {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  while (elapsed < duration) {
    await turns(BATCH)
    count += BATCH
    elapsed = performance.now() - start
  }
  return (count / elapsed) * 1000
}

const asynchronous = (handle) => async (count) => {
  for (let i = 0; i < count; i++) {
    await handle.acquire()
    await handle.release()
  }
}

/** The floor has a loop of its own, without JavaScript. */
const synchronous = (handle) =>
  handle.turnsSync ??
  ((count) => {
    for (let i = 0; i < count; i++) {
      handle.acquireSync()
      handle.releaseSync()
    }
  })

module.exports = [
  uncontended(
    'uncontended-async',
    'Acquire and release, uncontended',
    'await acquire(), await release(), one after the other, of one file that nobody else wants.',
    ['kernel', 'file', 'memory'],
    asynchronous,
  ),
  uncontended(
    'uncontended-sync',
    'Acquire and release, uncontended, synchronous',
    'acquireSync(), releaseSync(), in a loop, of one file that nobody else wants.',
    ['kernel', 'file'],
    synchronous,
  ),
]
