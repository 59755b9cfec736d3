'use strict'

// The waits that an AbortSignal ends. A signal has one listener of ours, however many they are: Node warns of eleven.

/** For each signal that ends waits: the functions that end them, and the listener that calls those. */
const entries = new WeakMap()

/**
 * Calls `end` when the signal fires. Returns a function that takes this back. That function never throws: an error of its
 * own could keep a granted lock from its user.
 */
function onAbort(signal, end) {
  let entry = entries.get(signal)
  if (entry === undefined) {
    entry = { ends: new Set(), listener: () => endAll(entry) }
    listen(signal, entry.listener)
    entries.set(signal, entry)
  }
  entry.ends.add(end)
  return () => {
    if (!entry.ends.delete(end) || entry.ends.size > 0) return
    entries.delete(signal)
    try {
      signal.removeEventListener('abort', entry.listener)
    } catch {
      // The listener stays, and has nothing left to end.
    }
  }
}

function listen(signal, listener) {
  const { addAbortListener } = require('node:events')
  // Calls the listener even if an earlier one stops the event. Not in Node before 20.5, nor in Deno.
  if (addAbortListener !== undefined) addAbortListener(signal, listener)
  else signal.addEventListener('abort', listener, { once: true })
}

function endAll({ ends }) {
  for (const end of [...ends]) end()
}

module.exports = { onAbort }
