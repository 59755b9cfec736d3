'use strict'

// The diagnostics channels: those of locks.

const assert = require('node:assert/strict')
const diagnostics = require('node:diagnostics_channel')
const { test } = require('node:test')

const { semaphore } = require('../..')
const { temporaryPath } = require('../support/folders.js')

const EVENTS = ['start', 'end', 'error', 'asyncStart', 'asyncEnd']

test('permits are traced as locks are, each release with the number of its acquisition', async (t) => {
  const file = temporaryPath(t)
  const told = []
  const note = (event) => (message) => {
    if (message.path === file) told.push([event, message])
  }
  const subscribers = Object.fromEntries(EVENTS.map((event) => [event, note(event)]))
  const released = note('release')
  diagnostics.tracingChannel('locket.acquire').subscribe(subscribers)
  diagnostics.subscribe('locket.release', released)
  t.after(() => {
    diagnostics.tracingChannel('locket.acquire').unsubscribe(subscribers)
    diagnostics.unsubscribe('locket.release', released)
  })
  const events = () => told.splice(0).map(([event]) => event)
  const it = semaphore(file, 2, { timeout: 5000 })
  const GRANTED = ['start', 'end', 'asyncStart', 'asyncEnd']

  const numbers = []
  const permits = []
  for (let i = 0; i < 2; i++) {
    permits.push(await it.acquire())
    const { path, mode, timeout, acquisition } = told.at(-1)[1]
    assert.deepEqual({ path, mode, timeout }, { path: file, mode: 'exclusive', timeout: 5000 })
    numbers.push(acquisition)
    assert.deepEqual(events(), GRANTED)
  }
  assert.notEqual(numbers[0], numbers[1])
  assert.equal(await it.tryAcquire(), undefined)
  assert.equal(told.at(-1)[1].result, false)
  assert.deepEqual(events(), GRANTED)
  await assert.rejects(it.acquire(5), { code: 'ERR_LOCK_TIMEOUT' })
  assert.equal(told.find(([event]) => event === 'error')[1].error.code, 'ERR_LOCK_TIMEOUT')
  assert.deepEqual(events(), EVENTS)
  for (const i of [1, 0]) {
    permits[i].release()
    assert.deepEqual(told.splice(0), [['release', { path: file, acquisition: numbers[i] }]])
  }
  await it.run(() => assert.deepEqual(events(), GRANTED))
  assert.deepEqual(events(), ['release'])
})
