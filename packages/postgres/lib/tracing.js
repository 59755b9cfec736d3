'use strict'

// What monitoring tools can subscribe to: the channels of node:diagnostics_channel.

const { channel, tracingChannel } = require('node:diagnostics_channel')

const acquisitions = tracingChannel('locket.postgres.acquire')
const released = channel('locket.postgres.release')

/** Returns true if anybody subscribes. (TracingChannel has a property for it, but not before Node 20.13.) */
const isTraced = () =>
  ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].some((event) => acquisitions[event].hasSubscribers)

/** Calls the async function `acquire`, and tells the subscribers. Its argument is a function that sets the token. */
async function traced(name, { mode, timeout }, acquire) {
  const context = { name, mode, timeout }
  const setToken = (token) => {
    context.token = token
  }
  try {
    return await acquisitions.tracePromise(() => acquire(setToken), context)
  } catch (error) {
    // The stack leads to the caller's `await` from here, but not from inside of tracePromise.
    Error.captureStackTrace(error)
    throw error
  }
}

/** Tells the subscribers that the lock of this name was released. */
function tellReleased(name, token) {
  if (released.hasSubscribers) released.publish({ name, token })
}

module.exports = { isTraced, tellReleased, traced }
