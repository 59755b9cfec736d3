'use strict'

// Which handle releases what, and disposal.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { agent } = require('../support/processes.js')
const { Thread } = require('../support/threads.js')
const { eventually } = require('../support/waiting.js')

const IN_VAIN = { code: 'ERR_LOCK_TIMEOUT' }

/** A release of `lock` throws. */
const releasesNothing = (lock) => assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })

test('a handle that has only asked questions releases the exclusive lock of its process, whichever thread holds it', async (t) => {
  const file = temporaryPath(t)
  const thread = new Thread(t, file)
  const stranger = agent(t, file)
  const here = lockFile(file)
  for (const [hold, isHeld, releaseAgain] of [
    [() => here.acquire(), () => here.held, () => releasesNothing(here)],
    [
      () => thread.acquire(),
      () => thread.ask('held'),
      async () => assert.equal(await thread.ask('release'), 'ERR_LOCK_NOT_HELD'),
    ],
  ]) {
    for (const release of [(lock) => lock.release(), () => new Thread(t, file).ask('release')]) {
      await hold()
      assert.equal(await isHeld(), true)
      const lock = lockFile(file)
      assert.equal(lock.held, false)
      assert.equal(await lock.isLocked(), true)
      await lock.holders()
      await release(lock)
      assert.equal(await isHeld(), false)
      await releaseAgain()
      releasesNothing(lock)
      assert.equal(await stranger.ask('try'), 'true')
      // The second release of a handle leaves the next holder alone.
      await releaseAgain()
      assert.equal(await isFree(file), false)
      assert.equal(await stranger.ask('release'), 'released')
    }
  }
})

test('a shared hold is released by its own handle alone', async (t) => {
  const file = temporaryPath(t)
  const thread = new Thread(t, file)
  const mine = lockFile(file, { mode: 'shared' })
  await thread.acquire({ mode: 'shared' })
  releasesNothing(mine)
  await mine.acquire()
  mine.release()
  releasesNothing(mine)
  assert.equal(await thread.ask('held'), true)
  assert.equal(await isFree(file), false)

  await mine.acquire()
  assert.equal(await thread.ask('release'), 'released')
  assert.equal(await thread.ask('release'), 'ERR_LOCK_NOT_HELD')
  assert.equal(mine.held, true)
  assert.equal(await isFree(file), false)
  mine.release()
  assert.equal(await isFree(file), true)
})

test('a second release throws, and leaves the lock to the next holder', async (t) => {
  const file = temporaryPath(t)
  for (const mode of ['exclusive', 'shared']) {
    const first = await lockFile(file).acquire()
    const next = lockFile(file)
    const wait = next.acquire({ mode })
    first.release()
    // Also before the next one has heard that it holds the lock.
    releasesNothing(first)
    await eventually(wait, 'the next holder')
    releasesNothing(first)
    assert.equal(next.held, true)
    assert.equal(await isFree(file), false)
    next.release()
    assert.equal(await isFree(file), true)
  }
})

test('a release after a wait or a try that failed throws, and leaves the lock to its holder', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const inVain = {
    acquire: (lock) => assert.rejects(lock.acquire(0), IN_VAIN),
    'acquire, with time': (lock) => assert.rejects(lock.acquire(5), IN_VAIN),
    acquireSync: (lock) => assert.throws(() => lock.acquireSync(0), IN_VAIN),
    tryAcquire: async (lock) => assert.equal(await lock.tryAcquire(), false),
    tryAcquireSync: (lock) => assert.equal(lock.tryAcquireSync(), false),
    run: (lock) => assert.rejects(() => lock.run(() => assert.fail('the task ran'), 0), IN_VAIN),
  }
  for (const [form, ask] of Object.entries(inVain)) {
    const lock = lockFile(file)
    await ask(lock)
    releasesNothing(lock)
    assert.equal(holder.held, true, form)
  }
  assert.equal(await isFree(file), false)
  holder.release()
})

test('a release while a wait of the same handle is pending throws, and leaves the lock to its holder', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const lock = lockFile(file)
  const wait = lock.acquire()
  releasesNothing(lock)
  assert.equal(holder.held, true)
  // One that has never asked may release it: the waiter gets it.
  lockFile(file).release()
  assert.equal(holder.held, false)
  await eventually(wait, 'the lock')
  assert.equal(lock.held, true)
  lock.release()
})

test('an acquisition cannot be released before its promise has resolved, however soon that is', async (t) => {
  const lock = lockFile(temporaryPath(t))
  for (let round = 0; round < 3; round++) {
    const wait = lock.acquire()
    assert.equal(lock.held, false)
    releasesNothing(lock)
    await wait
    assert.equal(lock.held, true)
    lock.release()
  }
})

test('a lock is free for other processes when release has returned', async (t) => {
  const file = temporaryPath(t)
  const other = agent(t, file)
  const lock = lockFile(file)
  for (let i = 0; i < 50; i++) {
    await lock.acquire()
    lock.release()
    assert.equal(await other.ask('try'), 'true', `round ${i}`)
    assert.equal(await other.ask('release'), 'released')
  }
})

test('disposal releases what this handle holds, and nothing that another handle or thread holds', async (t) => {
  const file = temporaryPath(t)
  const thread = new Thread(t, file)
  const lock = lockFile(file)
  const disposes = async () => {
    lock[Symbol.dispose]()
    await lock[Symbol.asyncDispose]()
  }
  await disposes()
  for (const symbol of [Symbol.dispose, Symbol.asyncDispose]) {
    await lock.acquire()
    await lock[symbol]()
    assert.equal(lock.held, false)
    assert.equal(await isFree(file), true)
  }
  const other = await lockFile(file).acquire()
  await disposes()
  await thread.ask('dispose')
  assert.equal(other.held, true)
  assert.equal(await isFree(file), false)
  other.release()
  await thread.acquire()
  await disposes()
  assert.equal(await thread.ask('held'), true)
  await thread.ask('dispose')
  assert.equal(await isFree(file), true)
})
