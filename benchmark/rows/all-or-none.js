'use strict'

const path = require('node:path')

const { rateOf } = require('./support/rate.js')

const FILES = 10
const BATCH = 20

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
    return {
      rate: await rateOf(turnsOf(all), duration, BATCH),
      one: await rateOf(turnsOf(one), duration, BATCH),
    }
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

const turnsOf = (handle) => async (count) => {
  for (let i = 0; i < count; i++) {
    await handle.acquire()
    await handle.release()
  }
}
