'use strict'

const path = require('node:path')

const { withAgents } = require('./support/agents.js')
const { now, within, MILLISECOND } = require('./support/clock.js')
const { Crowd } = require('./support/crowd.js')

const shared = (text, count) => ({
  detail:
    `${text} handles of one process ask for the lock that a further handle holds, which is released at once; each ` +
    'releases as soon as it is served: from the first acquire() to the last release(). By how much the process has ' +
    'grown when all wait is measured in another process, where each holds for a turn of the event loop: nobody may ' +
    'get in then.',
  measures: [
    { id: 'total', title: 'all served', unit: 'ms', better: 'lower' },
    { id: 'threads', title: 'more threads', unit: 'threads', better: 'lower' },
    { id: 'memory', title: 'more memory', unit: 'MB', better: 'lower' },
    { id: 'overtakers', title: 'served out of order', unit: '', better: 'lower' },
  ],
  kinds: ['kernel', 'file', 'memory'],
  // The longest that serving all may take, in milliseconds.
  full: { patience: 10_000 },
  quick: { patience: 2000 },
  async trial(contestant, { folder, patience, x = count }) {
    const served = await serve(contestant, path.join(folder, 'timed'), x, patience)
    // In another process: memory that has been used once counts as used for ever.
    const grown = await withAgents(contestant, 1, [path.join(folder, 'lock')], ([agent]) => agent.ask('crowd', x))
    return { ...served, ...JSON.parse(grown) }
  },
})

/** How long it takes to serve all, and how many overtook others. */
async function serve(contestant, file, count, patience) {
  const holder = contestant.open(file)
  await holder.acquire()

  const crowd = new Crowd(contestant, new Array(count).fill(file))
  const start = now()
  const served = crowd.serve()
  const all = Promise.all([holder.release(), served])
  await within(patience, all, () => `${crowd.served} of ${count} waiters were served`)
  return { total: (now() - start) / MILLISECOND, overtakers: crowd.overtakers }
}

const waiters = (count) => {
  const text = count.toLocaleString('en')
  return { id: `waiters-${count}`, title: `${text} waiters on one file`, ...shared(text, count) }
}

const waitersCurve = {
  id: 'waiters',
  title: 'Waiters on one file',
  ...shared('That many'),
  curve: { x: 'waiters', points: [1, 10, 100, 1000, 10_000], quickPoints: [1, 100] },
}

module.exports = { waiters, waitersCurve }
