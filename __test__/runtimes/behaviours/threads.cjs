'use strict'

// Worker threads: they stand in one line, and leave nothing behind.

const assert = require('node:assert/strict')

const { lockFile } = require('@locket/native')
const { eventually, isFree, staysPending, temporaryPath, threadFor } = require('../support.cjs')

/** A lock that is shared, and that a worker waited for in acquireSync(), to have it alone, until it was terminated. */
async function terminatedInAcquireSync() {
  const file = temporaryPath()
  const lock = await lockFile(file, { mode: 'shared' }).acquire()
  const thread = await threadFor(file)
  assert.equal(await thread.ask('acquireSync'), 'waiting')
  assert.ok(await staysPending(thread.exited, 100))
  await thread.terminate()
  return { file, lock }
}

module.exports = {
  async 'worker threads stand in one line'() {
    const file = temporaryPath()
    const [first, second] = [await threadFor(file), await threadFor(file)]
    const lock = await lockFile(file).acquire()
    assert.equal(await first.ask('wait'), 'waiting')
    const mine = lockFile(file).acquire()
    await lock.isLocked()
    assert.equal(await second.ask('wait'), 'waiting')
    const [one, two] = [first.answer(), second.answer()]
    assert.ok(await staysPending(Promise.race([one, mine, two])))
    lock.release()
    assert.equal(await one, 'acquired')
    assert.ok(await staysPending(Promise.race([mine, two])))
    // What one thread holds, any thread may release, by a handle that has never asked for a lock; no other handle may.
    assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
    lockFile(file).release()
    const own = await eventually(mine, 'the lock')
    assert.ok(await staysPending(two))
    own.release()
    assert.equal(await two, 'acquired')
    assert.equal(await second.ask('release'), 'released')
  },

  async 'a worker ends by itself: what it held is free'() {
    const file = temporaryPath()
    const thread = await threadFor(file)
    assert.equal(await thread.ask('acquire'), 'acquired')
    const next = lockFile(file).acquire()
    assert.ok(await staysPending(next))
    thread.say('close')
    await eventually(thread.exited, 'the end of the thread')
    ;(await eventually(next, 'the lock')).release()
  },

  async 'a worker is terminated while it holds'() {
    const file = temporaryPath()
    for (let round = 0; round < 5; round++) {
      const thread = await threadFor(file)
      assert.equal(await thread.ask('acquire'), 'acquired')
      const next = lockFile(file).acquire()
      assert.ok(await staysPending(next))
      await thread.terminate()
      ;(await eventually(next, 'the lock that the worker held')).release()
    }
  },

  async 'a worker is terminated while it waits'() {
    const file = temporaryPath()
    for (const waits of [1, 1, 1, 100, 100]) {
      const lock = await lockFile(file).acquire()
      const thread = await threadFor(file, waits)
      assert.equal(await thread.ask('wait'), 'waiting')
      const behind = lockFile(file).acquire()
      await thread.terminate()
      assert.ok(await staysPending(behind))
      lock.release()
      ;(await eventually(behind, 'the lock behind the waits of the worker')).release()
    }
  },

  async 'a worker is terminated in acquireSync(): it keeps nothing'() {
    const { file, lock } = await terminatedInAcquireSync()
    lock.release()
    ;(await eventually(lockFile(file).acquire(), 'the lock')).release()
    assert.equal(await isFree(file), true)
  },

  async 'a worker is terminated in acquireSync(): its wait ends'() {
    const { file, lock } = await terminatedInAcquireSync()
    // Nobody overtakes a waiter: who would share the lock is refused while somebody waits to have it alone.
    const other = lockFile(file, { mode: 'shared' })
    assert.ok(await other.tryAcquire(), 'the wait has outlived the worker')
    other.release()
    lock.release()
  },
}
