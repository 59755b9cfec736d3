'use strict'

// What many waits on one file cost: says by how many threads and MB the process has grown when all wait, as JSON. A
// process of its own, since memory that has been used once counts as used for ever. Then they are served one by one for
// a while, which shows whether the lock excludes them from each other.
//
// Usage: waiting.js CONTESTANT FILE COUNT

const fs = require('node:fs')
const { setImmediate: nextTurn, setTimeout: sleep } = require('node:timers/promises')

const { contestant: byName } = require('../../contestants/index.js')
const { Crowd } = require('./crowd.js')
const { footprint, growth } = require('./processes.js')

/** The longest that is looked whether two get in at once, in milliseconds. */
const EXCLUSION_CHECK = 500

async function main(name, file, count) {
  const contestant = byName(name)
  const holder = contestant.open(file)
  await holder.acquire()

  const before = footprint()
  const crowd = new Crowd(contestant, new Array(Number(count)).fill(file))
  const served = crowd.serve(alone())
  served.catch(() => {})
  const grown = growth(before, await crowd.footprint())
  await holder.release()
  await Promise.race([served, sleep(EXCLUSION_CHECK)])
  return grown
}

/** A task that takes a turn of the event loop, and fails if it is called again meanwhile. */
function alone() {
  let callers = 0
  return async () => {
    if (++callers > 1) throw new Error('let in two waiters at once')
    await nextTurn()
    callers--
  }
}

main(...process.argv.slice(2))
  .then((result) => fs.writeSync(1, `${JSON.stringify(result)}\n`))
  .catch((error) => fs.writeSync(1, `${JSON.stringify({ failed: error.message })}\n`))
