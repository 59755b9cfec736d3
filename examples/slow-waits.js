'use strict'

// Logs each long wait for a lock, with the path of the lock and its holders, in any program that uses the package. The
// program needs no change. To try it, run another example with it in two terminals:
//
//   node --require ./examples/slow-waits.js examples/cron-job.js --wait 60
//
// SLOW_WAIT_MS is the shortest wait that is logged, in milliseconds. Defaults to 1000.

const { tracingChannel } = require('node:diagnostics_channel')

const { lockFile } = require('@locket/native')

const LONG = Number(process.env.SLOW_WAIT_MS ?? 1000)

const log = ({ path, mode }, what) => console.warn(`Slow wait: ${path} (${mode}) ${what}`)

const describe = ({ pid, command }) => `${pid === process.pid ? 'this process' : pid}${command ? ` (${command})` : ''}`

/** Reports a wait while it lasts: only now are the holders known, and some waits never end. */
async function report(context) {
  // Unknown outside Linux. A log must not make the program fail.
  const holders = await lockFile(context.path)
    .holders()
    .catch(() => undefined)
  const wait = waits.get(context)
  // The wait has ended meanwhile, so these are the next holders.
  if (wait === undefined) return
  wait.reported = true
  const by = holders?.length > 0 ? `, held by ${holders.map(describe).join(', ')}` : ''
  log(context, `not acquired within ${LONG} ms${by}`)
}

/** The start and the timer of each wait. The context is the same object in all events of one wait. */
const waits = new WeakMap()

const channel = tracingChannel('locket.acquire')

function finish(context) {
  const wait = waits.get(context)
  if (wait === undefined) return
  waits.delete(context)
  clearTimeout(wait.timer)
  const duration = Math.round(performance.now() - wait.start)
  if (duration < LONG && !wait.reported) return
  const acquired = context.error === undefined && context.result !== false
  log(context, `${acquired ? 'acquired' : 'given up'} after ${duration} ms`)
}

channel.subscribe({
  start(context) {
    // The timer does not keep the process alive.
    const timer = setTimeout(report, LONG, context).unref()
    waits.set(context, { start: performance.now(), timer })
  },
  end(context) {
    // A synchronous wait has ended here. A wait with a promise has only begun.
    if ('result' in context || 'error' in context) finish(context)
  },
  asyncEnd: finish,
})
