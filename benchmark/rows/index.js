'use strict'

const { contendedFiles, filesCurve, idleFiles } = require('./contended-files.js')
const { contention, processesCurve } = require('./contention.js')
const { sharedHolds } = require('./shared-holds.js')
const { waiters, waitersCurve } = require('./waiters.js')

/** The rows and, at the end, the curves, in the order of the report. */
module.exports = {
  rows: [
    ...require('./uncontended.js'),
    require('./requests.js'),
    require('./files-at-once.js'),
    require('./all-or-none.js'),
    require('./hand-over.js'),
    ...[2, 8, 32].map(contention),
    ...[1000, 10_000].map(waiters),
    contendedFiles,
    require('./waits-in-vain.js'),
    require('./cancelled.js'),
    ...[10_000, 100_000].map(sharedHolds),
    ...require('./semaphore.js'),
    require('./killed-holder.js'),
    require('./blocked-loop.js'),
    require('./idle-waiter.js'),
    ...[1000, 6000].map(idleFiles),
    require('./neighbours.js'),
    require('./loading.js'),
    require('./command.js'),
    ...require('./postgres.js'),
    waitersCurve,
    filesCurve,
    processesCurve,
  ],
}
