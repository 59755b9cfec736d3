'use strict'

const path = require('node:path')
const { setImmediate: nextTurn, setTimeout: sleep } = require('node:timers/promises')

const { now, MICROSECOND } = require('./support/clock.js')
const { shuffled } = require('./support/random.js')

/** How long the wait of the last one is given to get under way, in milliseconds. */
const SETTLE = 100

const sharedHolds = (count) => {
  const text = count.toLocaleString('en')
  return {
    id: `shared-${count}`,
    title: `${text} shared holds of one file`,
    detail:
      `${text} handles of one process hold the file shared, and a further one waits for it alone; they release it in ` +
      'random order: from the first release() until that one has it, divided by the number of holds. What an acquire ' +
      'takes is measured likewise, all started at once.',
    measures: [
      { id: 'release', title: 'a release', unit: 'µs', better: 'lower' },
      { id: 'acquire', title: 'an acquire', unit: 'µs', better: 'lower' },
    ],
    kinds: ['kernel', 'file', 'memory'],
    rounds: 2,
    limit: 20_000,
    async trial(contestant, { folder }) {
      const file = path.join(folder, 'lock')
      const handles = Array.from({ length: count }, () => contestant.open(file))
      const asked = now()
      await Promise.all(handles.map((handle) => handle.acquireShared()))
      const acquired = now()

      let entered = false
      const alone = contestant
        .open(file)
        .acquire()
        .then(() => {
          entered = true
        })
      await sleep(SETTLE)

      const [last, ...others] = shuffled(handles)
      const start = now()
      for (const handle of others) handle.release()
      await nextTurn()
      if (entered) throw new Error('let in somebody alone while the lock was held')
      last.release()
      await alone
      const end = now()
      return { release: (end - start) / count / MICROSECOND, acquire: (acquired - asked) / count / MICROSECOND }
    },
  }
}

module.exports = { sharedHolds }
