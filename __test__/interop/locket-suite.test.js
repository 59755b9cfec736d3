'use strict'

// The cases of the test suite of Python's locket, by their names there, for this API.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { LockError, LockTimeoutError, lockFile } = require('../..')
const { temporaryPath, temporaryPaths } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { agent, holderOf } = require('../support/processes.js')
const { Thread } = require('../support/threads.js')
const { eventually, PATIENCE, staysPending } = require('../support/waiting.js')

test('single process can obtain uncontested lock', async (t) => {
  let ran = false
  await lockFile(temporaryPath(t)).run((lock) => {
    ran = lock.held
  })
  assert.equal(ran, true)
})

test('lock can be acquired with timeout of zero', async (t) => {
  const file = temporaryPath(t)
  await lockFile(file, { timeout: 0 }).run((lock) => assert.equal(lock.held, true))
  const lock = await lockFile(file).acquire({ timeout: 0 })
  assert.equal(lock.held, true)
  lock.release()
  lock.acquireSync({ timeout: 0 }).release()
})

test('lock is released by context manager exit', async (t) => {
  const file = temporaryPath(t)
  await lockFile(file).run(async () => assert.equal(await isFree(file), false))
  assert.equal(await isFree(file), true)
  for (const dispose of [Symbol.dispose, Symbol.asyncDispose]) {
    const lock = await lockFile(file).acquire()
    assert.equal(await isFree(file), false)
    await lock[dispose]()
    assert.equal(await isFree(file), true)
  }
})

test('can use acquire and release to control lock', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  assert.equal(await lock.acquire(), lock)
  assert.equal(await isFree(file), false)
  lock.release()
  assert.equal(await isFree(file), true)
})

test('thread cannot obtain lock using same object twice without release', async (t) => {
  const lock = await lockFile(temporaryPath(t)).acquire()
  const second = lock.acquire()
  assert.ok(await staysPending(second))
  lock.release()
  await eventually(second, 'the second acquisition')
  assert.equal(lock.held, true)
  lock.release()
})

for (const [what, options] of Object.entries({
  'same path': [],
  'same path with different arguments': [1, 2, 3].map((n) => ({ timeout: PATIENCE * n })),
})) {
  test(`thread cannot obtain lock using ${what} without release`, async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file, options[0]).acquire()
    const here = lockFile(file, options[1]).acquire()
    const thread = new Thread(t, file)
    assert.equal(await thread.ask('acquire', options[2]), 'waiting')
    const there = thread.answer()
    assert.ok(await staysPending(Promise.race([here, there])))
    lock.release()
    const next = await eventually(here, 'the second acquisition')
    assert.ok(await staysPending(there))
    next.release()
    assert.equal(await there, 'acquired')
  })

  test(`the same lock is used for the ${what}`, async (t) => {
    const file = temporaryPath(t)
    const [one, other] = [lockFile(file, options[0]), lockFile(file, options[1])]
    await one.acquire()
    assert.equal(await other.tryAcquire(), false)
    one.release()
    assert.equal(await other.tryAcquire(), true)
    other.release()
  })
}

test('calling release on unlocked lock raises lock error', async (t) => {
  const lock = lockFile(temporaryPath(t))
  const isLockError = (error) => error instanceof LockError && /^cannot release unlocked lock/.test(error.message)
  assert.throws(() => lock.release(), isLockError)
  await lock.acquire()
  lock.release()
  assert.throws(() => lock.release(), isLockError)
})

test('different locks are used for different paths', async (t) => {
  const waits = temporaryPaths(t, 'one.lock', 'other.lock').map((file) => lockFile(file).acquire({ timeout: 0 }))
  const [one, other] = await Promise.all(waits)
  one.release()
  assert.deepEqual([one.held, other.held], [false, true])
  other.release()
})

for (const [name, release] of Object.entries({
  'lock file blocks until lock is available': async (holder) => assert.equal(await holder.ask('release'), 'released'),
  'lock is released if holding process is brutally killed': async (holder) =>
    assert.equal((await holder.kill('SIGKILL')).signal, 'SIGKILL'),
})) {
  test(name, async (t) => {
    const file = temporaryPath(t)
    const holder = await holderOf(t, file)
    const waiter = agent(t, file)
    assert.equal(await waiter.ask('acquire'), 'waiting')
    const acquired = waiter.line()
    assert.ok(await staysPending(acquired))
    await release(holder)
    assert.equal(await acquired, 'acquired')
    assert.equal(await isFree(file), false)
    assert.equal(await waiter.ask('release'), 'released')
    assert.equal(await isFree(file), true)
  })
}

for (const [name, timeout] of Object.entries({
  'can set timeout to zero to raise exception if lock cannot be acquired': 0,
  'error is raised after timeout has expired': 50,
})) {
  test(name, async (t) => {
    const file = temporaryPath(t)
    const holder = await holderOf(t, file)
    const lock = lockFile(file, { timeout })
    for (const wait of [
      () => lock.acquire(),
      async () => lock.acquireSync(),
      () => lock.run(() => assert.fail('the task ran')),
    ]) {
      const start = performance.now()
      await assert.rejects(eventually(wait(), 'the end of the wait'), LockTimeoutError)
      assert.ok(performance.now() - start >= timeout)
      assert.equal(lock.held, false)
    }
    assert.equal(await holder.ask('release'), 'released')
    await lock.acquire()
    lock.release()
  })
}

test('lock is acquired if available before timeout expires', async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const wait = lockFile(file, { timeout: PATIENCE }).acquire()
  assert.ok(await staysPending(wait))
  assert.equal(await holder.ask('release'), 'released')
  const lock = await eventually(wait, 'the lock')
  assert.equal(lock.held, true)
  assert.equal(await holder.ask('try'), 'false')
  lock.release()
})
