'use strict'

// Who waits for which AbortSignal. A signal has one listener of ours, however many waits it ends: Node warns of eleven.

/** As they are when this is loaded: somebody may replace those of a signal. A bare context of node:vm has none. */
const { addEventListener, removeEventListener } = globalThis.EventTarget?.prototype ?? {}

/** For each signal that ends waits: the functions that end them, and the listener that calls those. */
const waits = new WeakMap()

/**
 * Calls `end` when the signal fires. Returns a function that takes it back, and never throws: what it would throw could
 * keep a lock that was granted from its user.
 */
function onAbort(signal, end) {
  let entry = waits.get(signal)
  if (entry === undefined) {
    entry = { ends: new Set(), listener: () => endAll(entry) }
    listen(signal, entry.listener)
    waits.set(signal, entry)
  }
  entry.ends.add(end)
  return () => {
    if (!entry.ends.delete(end) || entry.ends.size > 0) return
    waits.delete(signal)
    unlisten(signal, entry.listener)
  }
}

function endAll({ ends }) {
  for (const end of [...ends]) end()
}

function listen(signal, listener) {
  // A method that was replaced is not asked, unless the signal is of another realm or a polyfill's.
  if (signal.addEventListener !== addEventListener) {
    try {
      return addEventListener.call(signal, 'abort', listener, { once: true })
    } catch {
      // No signal of this realm.
    }
  }
  // Calls the listener also if an earlier one stops the event. It came with Node 20.5; Deno has none.
  const { addAbortListener } = require('node:events')
  if (addAbortListener !== undefined) addAbortListener(signal, listener)
  else signal.addEventListener('abort', listener, { once: true })
}

function unlisten(signal, listener) {
  try {
    removeEventListener.call(signal, 'abort', listener)
  } catch {
    try {
      signal.removeEventListener('abort', listener)
    } catch {
      // Nobody is left whom the listener could call.
    }
  }
}

module.exports = { onAbort }
