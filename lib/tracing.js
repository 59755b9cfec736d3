'use strict'

// What monitoring tools can listen to: node:diagnostics_channel, as its documentation names things.

const { channel, tracingChannel } = require('node:diagnostics_channel')

const acquisition = tracingChannel('locket.acquire')
const released = channel('locket.release')

/** Does anybody listen? (TracingChannel has a property for it only from Node 20.13 on.) */
function isTraced() {
  const { start, end, asyncStart, asyncEnd, error } = acquisition
  return (
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    error.hasSubscribers
  )
}

const describe = ({ path, shared, timeout }) => ({ path, mode: shared ? 'shared' : 'exclusive', timeout })

/** Does what `acquire`, an async function, does, and tells who listens. */
async function traced(wait, acquire) {
  try {
    return await acquisition.tracePromise(acquire, describe(wait))
  } catch (error) {
    // From here the stack leads to the caller's `await`; from inside of tracePromise it does not.
    Error.captureStackTrace(error)
    throw error
  }
}

/** The same for a function that is not async. */
function tracedSync(wait, acquire) {
  return acquisition.traceSync(acquire, describe(wait))
}

/** The lock of the file at `path` has been released. */
function tellReleased(path) {
  if (released.hasSubscribers) released.publish({ path })
}

module.exports = { isTraced, traced, tracedSync, tellReleased }
