'use strict'

// Logs each wait for a lock that takes long, with the lock's path and who held it: in any program that uses the package,
// without a change to it. Here in one of the other examples, to be run in two terminals:
//
//   node --require ./examples/slow-waits.js examples/cron-job.js --wait 60
//
// SLOW_WAIT_MS sets what counts as long, in milliseconds. Defaults to 1000.

const { tracingChannel } = require('node:diagnostics_channel')

const { lockFile } = require('@locket/native')

const LONG = Number(process.env.SLOW_WAIT_MS ?? 1000)

const log = ({ path, mode }, what) => console.warn(`Slow wait: ${path} (${mode}) ${what}`)

const describe = ({ pid, command }) => `${pid === process.pid ? 'this process' : pid}${command ? ` (${command})` : ''}`

/** Reports a wait while it lasts: only now can the holders be known, and some waits never end. */
async function report(context) {
  // Outside Linux it is not known. And what only watches must not fail.
  const holders = await lockFile(context.path)
    .holders()
    .catch(() => undefined)
  // Those are the next ones already.
  if (!waits.has(context)) return
  const by = holders?.length > 0 ? `, held by ${holders.map(describe).join(', ')}` : ''
  log(context, `not acquired within ${LONG} ms${by}`)
}

/** What is known of each wait. The context is the same object in all events of one wait. */
const waits = new WeakMap()

const channel = tracingChannel('locket.acquire')

function finish(context) {
  const wait = waits.get(context)
  if (wait === undefined) return
  waits.delete(context)
  clearTimeout(wait.timer)
  const duration = Math.round(performance.now() - wait.start)
  if (duration < LONG) return
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
    // The sync forms are done by now, well or not; what comes with a promise has only begun.
    if ('result' in context || 'error' in context) finish(context)
  },
  asyncEnd: finish,
})
