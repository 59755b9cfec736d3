'use strict'

// Locked or unlocked; first come, first served within a process.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { allQueued, isFree } = require('../support/locks.js')
const { holderOf } = require('../support/processes.js')
const { Thread } = require('../support/threads.js')
const { staysPending } = require('../support/waiting.js')

for (const mode of ['exclusive', 'shared']) {
  test(`a handle holds at most one ${mode} acquisition: another waits until that is released`, async (t) => {
    const lock = lockFile(temporaryPath(t), { mode })
    await lock.acquire()
    const again = lock.acquire()
    assert.ok(await staysPending(again))
    assert.equal(await lock.tryAcquire(), false)
    lock.release()
    assert.equal(await again, lock)
    assert.equal(lock.held, true)
    lock.release()
    assert.equal(lock.held, false)
    assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
  })
}

test('a handle that waits for its own shared acquisition holds up those behind it', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file, { mode: 'shared' })
  await lock.acquire()
  const again = lock.acquire()
  await allQueued(file)
  const behind = lockFile(file, { mode: 'shared' }).acquire()
  assert.ok(await staysPending(behind))
  lock.release()
  await again
  const other = await behind
  lock.release()
  other.release()
})

test('a handle whose file was replaced while it holds still holds one acquisition', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  await lock.acquire()
  fs.rmSync(file)
  const again = lock.acquire()
  assert.ok(await staysPending(again))
  assert.equal(await lock.tryAcquire(), false)
  lock.release()
  await again
  assert.ok(fs.existsSync(file), 'the next acquisition is of the file that the path names')
  assert.equal(await isFree(file), false)
  lock.release()
})

test('waiters get the lock in the order of their calls', async (t) => {
  const file = temporaryPath(t)
  const order = []
  const one = lockFile(file)
  // Some by one handle, some by their own; the first of them before the file is open.
  const waits = Array.from({ length: 500 }, (_, i) => (i % 3 === 0 ? lockFile(file) : one).run(() => order.push(i)))
  await Promise.all(waits)
  assert.deepEqual(
    order,
    waits.map((_, i) => i),
  )
})

test('consecutive shared requests are let in together, of any thread, and no exclusive one with them', async (t) => {
  const file = temporaryPath(t)
  const threads = [new Thread(t, file), new Thread(t, file)]
  const holder = await lockFile(file).acquire()
  const shared = [1, 2, 3].map(() => lockFile(file).acquire({ mode: 'shared' }))
  assert.equal(await threads[0].ask('acquire', { mode: 'shared' }), 'waiting')
  const exclusive = lockFile(file).acquire()
  await allQueued(file)
  assert.equal(await threads[1].ask('acquire', { mode: 'shared' }), 'waiting')
  const late = threads[1].answer()
  holder.release()
  const together = await Promise.all(shared)
  assert.equal(await threads[0].answer(), 'acquired')
  assert.ok(together.every((lock) => lock.held))
  assert.ok(await staysPending(Promise.race([exclusive, late])))
  for (const lock of together) lock.release()
  assert.ok(await staysPending(Promise.race([exclusive, late])))
  assert.equal(await threads[0].ask('release'), 'released')
  const alone = await exclusive
  assert.ok(await staysPending(late))
  alone.release()
  assert.equal(await late, 'acquired')
})

test('nobody overtakes a waiter, nor does a try', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire({ mode: 'shared' })
  const waiter = lockFile(file).acquire()
  await allQueued(file)
  const shared = lockFile(file, { mode: 'shared' })
  assert.equal(await shared.tryAcquire(), false)
  assert.equal(shared.tryAcquireSync(), false)
  await assert.rejects(shared.acquire({ timeout: 5 }), { code: 'ERR_LOCK_TIMEOUT' })
  holder.release()
  const lock = await waiter
  lock.release()
  assert.equal(await shared.tryAcquire(), true)
  shared.release()
})

test('shared holders of two processes hold together, and an exclusive request waits for both', async (t) => {
  const file = temporaryPath(t)
  const other = await holderOf(t, file, { mode: 'shared' })
  const ours = await lockFile(file).acquire({ mode: 'shared', timeout: 0 })
  const exclusive = lockFile(file).acquire()
  assert.ok(await staysPending(exclusive))
  ours.release()
  assert.ok(await staysPending(exclusive))
  assert.equal(await other.ask('release'), 'released')
  const lock = await exclusive
  assert.equal(await other.ask('try {"mode":"shared"}'), 'false')
  const shared = lockFile(file).acquire({ mode: 'shared' })
  await allQueued(file)
  lock.release()
  await shared
  assert.equal(await other.ask('try {"mode":"shared"}'), 'true', 'what is handed over is a shared lock')
  ;(await shared).release()
})

test('a synchronous wait is in the same queue', async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const first = lockFile(file).acquire()
  const sync = lockFile(file)
  // Behind `first`, which cannot be released while this thread is blocked.
  assert.throws(() => sync.acquireSync({ timeout: 20 }), { code: 'ERR_LOCK_TIMEOUT' })
  holder.say('release')
  const lock = await first
  assert.equal(sync.tryAcquireSync(), false)
  lock.release()
  assert.equal(sync.acquireSync(), sync)
  sync.release()
})
