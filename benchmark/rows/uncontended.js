'use strict'

const path = require('node:path')

const { rateOf } = require('./support/rate.js')

const BATCH = 50

/** @param turnsOf makes turns(count) of `next`, which returns the handle of the next turn. */
const uncontended = (id, title, detail, { kinds, turnsOf, handles }) => ({
  id,
  title,
  detail,
  measures: [{ id: 'rate', title: 'locks', unit: 'per second', better: 'higher' }],
  kinds,
  full: { duration: 600 },
  quick: { duration: 200 },
  async trial(contestant, { folder, duration }) {
    const file = path.join(folder, 'a.lock')
    const turns = turnsOf(handles(() => contestant.open(file)))
    return { rate: await rateOf(turns, duration, BATCH) }
  },
})

/** One handle for all turns. */
const kept = (open) => {
  const handle = open()
  return () => handle
}

/** A handle for each turn. */
const renewed = (open) => open

const asynchronous = (next) => async (count) => {
  for (let i = 0; i < count; i++) {
    const handle = next()
    await handle.acquire()
    await handle.release()
  }
}

/** The floor has a loop of its own, without JavaScript. */
const synchronous = (next) =>
  next().turnsSync ??
  ((count) => {
    for (let i = 0; i < count; i++) {
      const handle = next()
      handle.acquireSync()
      handle.releaseSync()
    }
  })

module.exports = [
  uncontended(
    'uncontended-async',
    'Acquire and release, uncontended',
    'await acquire(), await release(), one after the other, of one file that nobody else wants.',
    { kinds: ['kernel', 'file', 'memory'], turnsOf: asynchronous, handles: kept },
  ),
  uncontended(
    'new-handle-async',
    'Acquire and release, a new handle each time',
    'await lockFile(path).acquire(), await release(), one after the other, as most programs do it. Peers have no handle ' +
      'to keep: theirs is the same work again.',
    { kinds: ['kernel', 'file'], turnsOf: asynchronous, handles: renewed },
  ),
  uncontended(
    'uncontended-sync',
    'Acquire and release, uncontended, synchronous',
    'acquireSync(), releaseSync(), in a loop, of one file that nobody else wants.',
    { kinds: ['kernel', 'file'], turnsOf: synchronous, handles: kept },
  ),
  uncontended(
    'new-handle-sync',
    'Acquire and release, a new handle each time, synchronous',
    'lockFile(path).acquireSync(), releaseSync(), in a loop, of one file that nobody else wants.',
    { kinds: ['kernel', 'file'], turnsOf: synchronous, handles: renewed },
  ),
]
