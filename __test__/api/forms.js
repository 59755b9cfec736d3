'use strict'

// The methods that acquire, for tests that do the same with each of them.

const { eventually } = require('../support/waiting.js')

const HANDLE_OPTIONS = ['timeout', 'mode', 'fileMode', 'removeOnRelease', 'allowDirectory']

/** How each is called, the options that it knows, and whether it throws (`sync`) and resolves to true (`tries`). */
const FORMS = {
  acquire: { call: (lock, options) => lock.acquire(options), known: ['timeout', 'mode', 'signal'] },
  acquireSync: { call: (lock, options) => lock.acquireSync(options), known: ['timeout', 'mode'], sync: true },
  tryAcquire: { call: (lock, options) => lock.tryAcquire(options), known: ['mode', 'signal'], tries: true },
  tryAcquireSync: { call: (lock, options) => lock.tryAcquireSync(options), known: ['mode'], tries: true, sync: true },
  run: { call: (lock, options) => lock.run(() => 5, options), known: ['timeout', 'mode', 'signal'] },
}

/** Calls it. `{ value }` or `{ error }`, and whether that was thrown, not rejected. */
async function outcomeOf(call) {
  let result
  try {
    result = call()
  } catch (error) {
    return { error, thrown: true }
  }
  try {
    return { value: await eventually(Promise.resolve(result), 'an answer') }
  } catch (error) {
    return { error, thrown: false }
  }
}

module.exports = { FORMS, HANDLE_OPTIONS, outcomeOf }
