'use strict'

const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { now, within, MILLISECOND } = require('./support/clock.js')
const { shuffled } = require('./support/random.js')

const COUNT = 10_000

/** How long the waits are given to get under way, in milliseconds. */
const SETTLE = 200

module.exports = {
  id: 'cancelled',
  title: '10,000 waits cancelled',
  detail:
    '10,000 handles of one process wait for the lock that a further handle holds, each with an AbortSignal of its own; ' +
    'the signals fire in random order: from the first abort() until the last acquire() has failed. async-mutex can ' +
    'only cancel all waits at once, which its first signal does.',
  measures: [{ id: 'total', title: 'all cancelled', unit: 'ms', better: 'lower' }],
  kinds: ['kernel', 'file', 'memory'],
  // The longest that it may take, in milliseconds.
  full: { patience: 10_000 },
  quick: { patience: 4000 },
  async trial(contestant, { folder, patience }) {
    const file = path.join(folder, 'lock')
    const holder = contestant.open(file)
    await holder.acquire()

    const controllers = Array.from({ length: COUNT }, () => new AbortController())
    let cancelled = 0
    const waits = controllers.map(({ signal }) =>
      contestant
        .open(file)
        .acquireUntil(signal)
        .then(
          () => Promise.reject(new Error('let in two at once')),
          () => cancelled++,
        ),
    )
    const all = Promise.all(waits)
    all.catch(() => {})
    await sleep(SETTLE)
    if (cancelled > 0) throw new Error(`${cancelled} waits failed before they were cancelled`)

    const order = shuffled(controllers)
    const start = now()
    for (const controller of order) controller.abort()
    await within(patience, all, () => `${cancelled} of ${COUNT} waits were cancelled`)
    const total = (now() - start) / MILLISECOND

    // Nobody is left in line.
    await holder.release()
    await within(patience, contestant.open(file).acquire(), () => 'nobody got in')
    return { total }
  },
}
