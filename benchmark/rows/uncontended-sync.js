'use strict'

const path = require('node:path')

const { rateOf } = require('./support/rate.js')

const BATCH = 100
/** In milliseconds. When it has warmed up, the code is compiled. */
const WARM_UP = 100
const DURATION = { full: 1000, quick: 200 }

module.exports = {
  id: 'uncontended-sync',
  title: 'Acquire and release, uncontended, synchronous',
  detail: 'acquireSync(), releaseSync(), in a loop, of one file that nobody else wants.',
  measures: [{ id: 'rate', title: 'locks', unit: 'per second', better: 'higher' }],
  kinds: ['kernel', 'file'],
  async trial(contestant, { folder, quick }) {
    const turns = turnsOf(contestant.open(path.join(folder, 'a.lock')))
    await rateOf(turns, BATCH, WARM_UP)
    return { rate: await rateOf(turns, BATCH, quick ? DURATION.quick : DURATION.full) }
  },
}

/** The floor has a loop of its own, without JavaScript. */
function turnsOf(handle) {
  if (handle.turnsSync) return handle.turnsSync
  return (count) => {
    for (let i = 0; i < count; i++) {
      handle.acquireSync()
      handle.releaseSync()
    }
  }
}
