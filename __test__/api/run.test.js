'use strict'

// run(): acquire, call the task, release.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { errorOf, eventually, staysPending } = require('../support/waiting.js')

/** A promise, and what resolves it. */
function deferred() {
  let resolve
  const promise = new Promise((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

test('run holds the lock until what the task returns has settled', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  const [called, task] = [deferred(), deferred()]
  const run = lock.run((it) => {
    called.resolve(it)
    return task.promise
  })
  assert.equal(await eventually(called.promise, 'the task'), lock)
  assert.equal(lock.held, true)
  assert.ok(await staysPending(run))
  assert.equal(await isFree(file), false)
  task.resolve('result')
  assert.equal(await run, 'result')
  assert.equal(await isFree(file), true)
})

test('run releases when the task fails, synchronously too, and passes the error on as it is', async (t) => {
  const lock = lockFile(temporaryPath(t))
  const reason = new Error('of the task')
  const { stack } = reason
  const raise = () => {
    throw reason
  }
  for (const task of [raise, async () => raise()]) {
    const error = await errorOf(() => lock.run(task))
    assert.equal(error, reason)
    assert.equal(error.stack, stack)
    assert.equal(lock.held, false)
    assert.equal(await isFree(lock.path), true)
  }
})

test('the end of run releases only the acquisition that it made', async (t) => {
  const lock = lockFile(temporaryPath(t))
  const task = deferred()
  const run = lock.run((it) => {
    it.release()
    return task.promise
  })
  const next = lock.run(() => {})
  await eventually(next, 'the early release')
  await lock.acquire()
  task.resolve()
  await run
  assert.equal(lock.held, true)
  lock.release()
})

test('run does not call the task when it does not get the lock', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const refused = lockFile(file, { timeout: 0 }).run(() => assert.fail('called'))
  await assert.rejects(refused, { code: 'ERR_LOCK_TIMEOUT' })
  assert.equal(holder.held, true)
  holder.release()
})
