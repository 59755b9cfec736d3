'use strict'

// What monitoring tools can listen to: node:diagnostics_channel, as its documentation names things.

const { channel, tracingChannel } = require('node:diagnostics_channel')

const acquisitions = tracingChannel('locket.acquire')
const released = channel('locket.release')

/** Does anybody listen? (TracingChannel has a property for it only from Node 20.13 on.) */
function isTraced() {
  const { start, end, asyncStart, asyncEnd, error } = acquisitions
  return (
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    error.hasSubscribers
  )
}

const describe = ({ path, shared, timeout }) => ({ path, mode: shared ? 'shared' : 'exclusive', timeout })

/**
 * Calls `acquire`, an async function, and tells the subscribers. It is given a function that takes the number of the
 * acquisition, by which `locket.release` can be matched with it.
 */
async function traced(wait, acquire) {
  const context = describe(wait)
  try {
    return await acquisitions.tracePromise(() => acquire(note(context)), context)
  } catch (error) {
    // From here the stack leads to the caller's `await`; from inside of tracePromise it does not.
    Error.captureStackTrace(error)
    throw error
  }
}

/** The same for a function that is not async. */
function tracedSync(wait, acquire) {
  const context = describe(wait)
  return acquisitions.traceSync(() => acquire(note(context)), context)
}

const note = (context) => (acquisition) => {
  context.acquisition = acquisition
}

/** Tells the subscribers that the acquisition of this number, for the file at `path`, was released. */
function tellReleased(path, acquisition) {
  if (released.hasSubscribers) released.publish({ path, acquisition })
}

module.exports = { isTraced, traced, tracedSync, tellReleased }
