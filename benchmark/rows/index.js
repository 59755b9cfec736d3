'use strict'

// The rows and, at the end, the curves, in the order of the report. A trial's process loads its own and no other.

const LOADERS = {
  'uncontended-async': () => require('./uncontended-async.js'),
  'uncontended-sync': () => require('./uncontended-sync.js'),
  'files-at-once': () => require('./files-at-once.js'),
  'hand-over': () => require('./hand-over.js'),
  'contention-2': () => require('./contention.js').contention(2),
  'contention-8': () => require('./contention.js').contention(8),
  'contention-32': () => require('./contention.js').contention(32),
  'waiters-1000': () => require('./waiters.js').waiters(1000),
  'waiters-10000': () => require('./waiters.js').waiters(10_000),
  'contended-files': () => require('./contended-files.js').contendedFiles,
  'waits-in-vain': () => require('./waits-in-vain.js'),
  'killed-holder': () => require('./killed-holder.js'),
  'idle-waiter': () => require('./idle-waiter.js'),
  neighbours: () => require('./neighbours.js'),
  loading: () => require('./loading.js'),
  waiters: () => require('./waiters.js').curve,
  files: () => require('./contended-files.js').curve,
  processes: () => require('./contention.js').curve,
}

const IDS = Object.keys(LOADERS)

/** The row of that id. */
function row(id) {
  if (!IDS.includes(id)) throw new Error(`no row is called ${id}; there are: ${IDS.join(', ')}`)
  return LOADERS[id]()
}

/** All rows. */
const rows = () => IDS.map(row)

module.exports = { row, rows }
