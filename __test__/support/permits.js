'use strict'

// Semaphores of this process and of others.

const assert = require('node:assert/strict')

const { semaphore } = require('../..')
const { agent } = require('./processes.js')
const { staysPending } = require('./waiting.js')

/** All permits that can be had now, held until the test ends at the latest. */
async function takeAll(t, file, permits) {
  const it = semaphore(file, permits)
  const taken = []
  for (let permit = await it.tryAcquire(); permit !== undefined; permit = await it.tryAcquire()) taken.push(permit)
  t.after(() => {
    for (const permit of taken) permit[Symbol.dispose]()
  })
  return taken
}

/** How many permits can be had now. */
async function freePermits(t, file, permits) {
  const taken = await takeAll(t, file, permits)
  for (const permit of taken) permit.release()
  return taken.length
}

/** A process that holds so many of the permits. */
async function permitHolder(t, file, permits, count = 1, processOptions = undefined) {
  const holder = agent(t, file, { permits }, processOptions)
  for (let i = 0; i < count; i++) {
    assert.equal(await holder.ask('acquire'), 'waiting')
    assert.equal(await holder.line(), 'acquired')
  }
  return holder
}

/** A process that waits for a permit, and the line that it says when it has it. */
async function permitWaiter(t, file, permits, options = {}) {
  const waiter = agent(t, file, { permits })
  assert.equal(await waiter.ask(`acquire ${JSON.stringify(options)}`), 'waiting')
  const acquired = waiter.line()
  acquired.catch(() => {})
  assert.ok(await staysPending(acquired))
  return { waiter, acquired }
}

module.exports = { freePermits, permitHolder, permitWaiter, takeAll }
