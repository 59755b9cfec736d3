'use strict'

// Waits that end, and what came of them.

const assert = require('node:assert/strict')

/** How long a test waits for an event. Generous: it only bounds how long a failure takes. In an emulator all takes longer. */
const PATIENCE = Number(process.env.LOCKET_PATIENCE ?? 60_000)

/** `promise`, or a failure that says what did not happen. */
async function eventually(promise, what, patience = PATIENCE) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${patience} ms`)), patience)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits until `condition` holds: for what the system tells only when asked, such as a count of threads. */
async function until(condition, what, patience = PATIENCE) {
  const end = Date.now() + patience
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${patience} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Returns true if `promise` is pending after a turn of the event loop, and after `ms`. */
async function staysPending(promise, ms = 10) {
  const pending = Symbol('pending')
  const outcome = await Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms, pending))])
  return outcome === pending
}

/** Returns true if `promise` is settled by microtasks alone, without a turn of the event loop. */
async function settlesAtOnce(promise) {
  let settled = false
  promise.then(() => {
    settled = true
  })
  await new Promise(process.nextTick)
  for (let i = 0; i < 20; i++) await null
  return settled
}

/** The error of `call`, whether it throws or rejects. */
async function errorOf(call) {
  try {
    await eventually(call(), 'the error')
  } catch (error) {
    return error
  }
  return assert.fail('there was no error')
}

/**
 * The error of `call`, a wait that times out, with the holders in it. On a busy machine the system may not tell in time, and
 * the error has no holders: then the call is repeated.
 */
async function errorNamingHolders(call) {
  let error
  await until(async () => {
    error = await errorOf(call)
    return error.holders?.length > 0
  }, 'an error that names the holders')
  return error
}

module.exports = { errorNamingHolders, errorOf, eventually, PATIENCE, settlesAtOnce, staysPending, until }
