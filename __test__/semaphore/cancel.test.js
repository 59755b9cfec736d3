'use strict'

// Waits that are given up: they hold nothing, and keep nobody up.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { semaphore } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { freePermits, permitHolder, permitWaiter } = require('../support/permits.js')
const { errorOf, eventually, staysPending } = require('../support/waiting.js')

const ABORTED = { name: 'AbortError', code: 'ABORT_ERR' }

test('a wait ends at its timeout, and not before: its own, or that of the semaphore', async (t) => {
  const file = temporaryPath(t)
  await permitHolder(t, file, 2, 2)
  for (const timeout of [1, 20, 150]) {
    for (const wait of [
      () => semaphore(file, 2).acquire(timeout),
      () => semaphore(file, 2).acquire({ timeout }),
      () => semaphore(file, 2, { timeout }).acquire(),
      () => semaphore(file, 2, { timeout }).run(() => assert.fail('the task ran')),
    ]) {
      const begin = performance.now()
      await assert.rejects(eventually(wait(), 'the end of the wait'), { code: 'ERR_LOCK_TIMEOUT', timeout, path: file })
      assert.ok(performance.now() - begin >= timeout - 0.5)
    }
  }
})

test('a wait behind another process that waits ends at its timeout, too', async (t) => {
  const file = temporaryPath(t)
  await permitHolder(t, file, 1)
  const { acquired } = await permitWaiter(t, file, 1)
  await assert.rejects(eventually(semaphore(file, 1).acquire(20), 'the end'), { code: 'ERR_LOCK_TIMEOUT' })
  assert.ok(await staysPending(acquired))
})

test('a signal ends the wait, whether it is the first or not, and a signal that has fired begins none', async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 1)
  const controllers = [1, 2, 3].map(() => new AbortController())
  const reason = new Error('on purpose')
  const errors = controllers.map(({ signal }) => errorOf(() => semaphore(file, 1).acquire({ signal })))
  for (const i of [1, 0, 2]) {
    assert.ok(await staysPending(errors[i]))
    controllers[i].abort(reason)
    const { name, code, cause, path } = await errors[i]
    assert.deepEqual({ name, code, cause, path }, { ...ABORTED, cause: reason, path: file })
  }
  const it = semaphore(file, 1)
  const signal = AbortSignal.abort()
  for (const call of [
    () => it.acquire({ signal }),
    () => it.tryAcquire({ signal }),
    () => it.run(() => assert.fail('called'), { signal }),
  ]) {
    await assert.rejects(call, ABORTED)
  }
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await freePermits(t, file, 1), 1)
})

test('a signal that fires before the task of run is called keeps it from being called', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 1)
  const controller = new AbortController()
  const permit = await it.acquire()
  const run = it.run(() => assert.fail('called'), { signal: controller.signal })
  assert.ok(await staysPending(run))
  permit.release()
  controller.abort()
  await assert.rejects(run, ABORTED)
  assert.equal(await freePermits(t, file, 1), 1)
})

/** How many races each of these tests has. */
const RACES = 1000

test(`${RACES} races of an abort with a release of another process leave nothing held`, async (t) => {
  const file = temporaryPath(t)
  const PERMITS = 2
  const holder = await permitHolder(t, file, PERMITS, 1)
  let granted = 0
  let aborted = 0
  // And on until both have been seen: which of the two comes first is for the machine to say.
  for (let i = 0; i < RACES || granted === 0 || aborted === 0; i++) {
    const mine = await semaphore(file, PERMITS).acquire()
    const controller = new AbortController()
    const wait = semaphore(file, PERMITS).acquire({ signal: controller.signal })
    holder.say('release')
    // For between none and some hundreds of microseconds: as long as a release takes to come here.
    const end = performance.now() + Math.random() * 0.4
    while (performance.now() < end);
    setImmediate(() => controller.abort())
    try {
      ;(await wait).release()
      granted++
    } catch (error) {
      assert.equal(error.code, 'ABORT_ERR')
      aborted++
    }
    mine.release()
    assert.equal(await holder.line(), 'released')
    assert.equal(await holder.ask('acquire'), 'waiting')
    assert.equal(await holder.line(), 'acquired')
  }
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await freePermits(t, file, PERMITS), PERMITS)
})

test(`${RACES} races of timeouts and aborts with releases of this process leave nothing held`, async (t) => {
  const file = temporaryPath(t)
  const PERMITS = 3
  const it = semaphore(file, PERMITS)
  let granted = 0
  let rejected = 0
  const race = async (i) => {
    try {
      const signal = i % 2 === 0 ? undefined : AbortSignal.timeout(Math.floor(Math.random() * 3))
      const permit = await it.acquire({ timeout: i % 2 === 0 ? Math.random() * 2 : Infinity, signal })
      await new Promise(setImmediate)
      permit.release()
      granted++
    } catch (error) {
      assert.match(error.code, /^(ERR_LOCK_TIMEOUT|ABORT_ERR)$/)
      rejected++
    }
  }
  for (let i = 0; i < RACES || granted === 0 || rejected === 0; i += 20) {
    await eventually(Promise.all(Array.from({ length: 20 }, (_, j) => race(i + j))), 'the ends of all waits')
  }
  assert.equal(await freePermits(t, file, PERMITS), PERMITS)
})
