'use strict'

// What monitoring tools can subscribe to: the channels of node:diagnostics_channel.

// Opened when they are first needed: loading node:diagnostics_channel takes a tenth of the time of loading this package.
// Channels are known by name, so it does not matter who opens them first.
let acquisitions
let released

function open() {
  const { channel, tracingChannel } = require('node:diagnostics_channel')
  acquisitions = tracingChannel('locket.acquire')
  released = channel('locket.release')
}

// Bun forgets the subscribers of a channel that nothing refers to.
if (process.versions.bun !== undefined) open()

/** Returns true if anybody subscribes. (TracingChannel has a property for it, but not before Node 20.13.) */
function isTraced() {
  if (acquisitions === undefined) open()
  const { start, end, asyncStart, asyncEnd, error } = acquisitions
  return (
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    error.hasSubscribers
  )
}

const describe = (lock, { path, shared, timeout }) => ({ path, mode: shared ? 'shared' : 'exclusive', timeout, lock })

/**
 * Calls the async function `acquire`, by which `lock` is acquired, and tells the subscribers. The argument of `acquire` is a
 * function that sets the number of the acquisition, which `locket.release` repeats.
 */
async function traced(lock, wait, acquire) {
  const context = describe(lock, wait)
  try {
    return await acquisitions.tracePromise(() => acquire(setterFor(context)), context)
  } catch (error) {
    // The stack leads to the caller's `await` from here, but not from inside of tracePromise.
    Error.captureStackTrace(error)
    throw error
  }
}

/** Same as {@link traced}, for a function that is not async. */
function tracedSync(lock, wait, acquire) {
  const context = describe(lock, wait)
  return acquisitions.traceSync(() => acquire(setterFor(context)), context)
}

/** Returns a function that sets the number of the acquisition in what the subscribers get. */
const setterFor = (context) => (acquisition) => {
  context.acquisition = acquisition
}

/** Tells the subscribers of the release of the acquisition of this number, for the file at `path`. */
function tellReleased(path, acquisition) {
  if (released === undefined) open()
  if (released.hasSubscribers) released.publish({ path, acquisition })
}

module.exports = { isTraced, traced, tracedSync, tellReleased }
