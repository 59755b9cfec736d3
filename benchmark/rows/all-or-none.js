'use strict'

const path = require('node:path')

const FILES = 10
const BATCH = 20

/** In milliseconds. */
const WARM_UP = 100

module.exports = {
  id: 'all-or-none',
  title: '10 files at once, all or none',
  detail:
    'All of 10 files are acquired and released, again and again; nobody else wants them. Ours by lockFiles(), which waits ' +
    'for no file while it holds another one out of order; peers one file after the other, always in the same order. Beside ' +
    'it, the same with one file.',
  measures: [
    { id: 'rate', title: '10 files', unit: 'per second', better: 'higher' },
    { id: 'one', title: 'one file', unit: 'per second' },
  ],
  kinds: ['kernel', 'file'],
  full: { duration: 600 },
  quick: { duration: 200 },
  async trial(contestant, { folder, duration }) {
    const files = Array.from({ length: FILES }, (_, i) => path.join(folder, `${i}.lock`))
    const all = contestant.openAll?.(files) ?? inOrder(files.map((file) => contestant.open(file)))
    const one = contestant.open(path.join(folder, 'one.lock'))
    await rateOf(all, WARM_UP)
    await rateOf(one, WARM_UP)
    return { rate: await rateOf(all, duration), one: await rateOf(one, duration) }
  },
}

/** One handle of many, which are acquired in their order. */
const inOrder = (handles) => ({
  async acquire() {
    for (const handle of handles) await handle.acquire()
  },
  async release() {
    for (const handle of handles.toReversed()) await handle.release()
  },
})

/** Turns per second. */
async function rateOf(handle, duration) {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  while (elapsed < duration) {
    for (let i = 0; i < BATCH; i++) {
      await handle.acquire()
      await handle.release()
    }
    count += BATCH
    elapsed = performance.now() - start
  }
  return (count / elapsed) * 1000
}
