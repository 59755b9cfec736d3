'use strict'

const path = require('node:path')

const { rateOf } = require('./support/rate.js')

const BATCH = 50
/** In milliseconds. When it has warmed up, the code is compiled, and threads have been started. */
const WARM_UP = 100
const DURATION = { full: 1000, quick: 200 }

module.exports = {
  id: 'uncontended-async',
  title: 'Acquire and release, uncontended',
  detail: 'await acquire(), await release(), one after the other, of one file that nobody else wants.',
  measures: [{ id: 'rate', title: 'locks', unit: 'per second', better: 'higher' }],
  kinds: ['kernel', 'file', 'memory'],
  async trial(contestant, { folder, quick }) {
    const handle = contestant.open(path.join(folder, 'a.lock'))
    const turns = async (count) => {
      for (let i = 0; i < count; i++) {
        await handle.acquire()
        await handle.release()
      }
    }
    await rateOf(turns, BATCH, WARM_UP)
    return { rate: await rateOf(turns, BATCH, quick ? DURATION.quick : DURATION.full) }
  },
}
