'use strict'

// The lock within one thread, which other handles and at most one other process ask for.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')

const locket = require('@locket/native')
const { eventually, holderOf, isFree, staysPending, temporaryFolder, temporaryPath } = require('../support.cjs')

const { FileLock, LockError, LockTimeoutError, lockFile } = locket

module.exports = {
  async 'acquire, held, release'() {
    const file = temporaryPath()
    const lock = lockFile(file)
    assert.ok(lock instanceof FileLock)
    assert.equal(fs.existsSync(file), false)
    assert.equal(lock.held, false)
    assert.equal(await lock.acquire(), lock)
    assert.equal(lock.held, true)
    assert.equal(fs.existsSync(file), true)
    assert.equal(await isFree(file), false)
    assert.equal(await lockFile(file).isLocked(), true)
    lock.release()
    assert.equal(lock.held, false)
    assert.equal(await lockFile(file).isLocked(), false)
    assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
    assert.throws(() => lock.release(), LockError)
  },

  async 'the ES module has the same names'() {
    const { names, everything } = await import('../names.mjs')
    assert.deepEqual(names, { ...locket })
    assert.equal(everything.default, locket)
    for (const [name, value] of Object.entries(locket)) assert.equal(everything[name], value)
  },

  async 'a timeout ends the wait'() {
    const file = temporaryPath()
    const lock = await lockFile(file).acquire()
    const start = performance.now()
    const error = await eventually(
      lockFile(file)
        .acquire({ timeout: 50 })
        .catch((reason) => reason),
      'the timeout',
    )
    // Timers may be early by the fraction of a millisecond that clocks are rounded by.
    assert.ok(performance.now() - start >= 49)
    assert.ok(error instanceof LockTimeoutError && error instanceof Error)
    assert.equal(error.code, 'ERR_LOCK_TIMEOUT')
    assert.equal(error.timeout, 50)
    assert.ok(error.message.startsWith(`Couldn't lock ${file} within 50 ms`), error.message)
    lock.release()
    assert.equal(await isFree(file), true)
  },

  async 'timeout 0 tries once'() {
    const file = temporaryPath()
    const lock = await lockFile(file).acquire({ timeout: 0 })
    await assert.rejects(lockFile(file).acquire({ timeout: 0 }), { code: 'ERR_LOCK_TIMEOUT', timeout: 0 })
    assert.equal(await lockFile(file).tryAcquire(), false)
    lock.release()
    assert.equal(await isFree(file), true)
  },

  async 'a signal ends the wait'() {
    const file = temporaryPath()
    const lock = await lockFile(file).acquire()
    const controller = new AbortController()
    const reason = new Error('enough')
    const wait = lockFile(file).acquire({ signal: controller.signal })
    const behind = lockFile(file).acquire()
    assert.ok(await staysPending(wait))
    controller.abort(reason)
    const aborted = { name: 'AbortError', code: 'ABORT_ERR', cause: reason }
    await eventually(assert.rejects(wait, aborted), 'the end of the wait')
    await assert.rejects(lockFile(file).acquire({ signal: controller.signal }), aborted)
    lock.release()
    ;(await eventually(behind, 'the lock')).release()
  },

  async 'AbortSignal.timeout ends the wait'() {
    const file = temporaryPath()
    const lock = await lockFile(file).acquire()
    const wait = lockFile(file).acquire({ signal: AbortSignal.timeout(30) })
    const error = await eventually(
      wait.catch((reason) => reason),
      'the end of the wait',
    )
    assert.equal(error.code, 'ABORT_ERR')
    assert.equal(error.cause.name, 'TimeoutError')
    lock.release()
  },

  async 'shared beside shared, not beside exclusive'() {
    const file = temporaryPath()
    const [first, second] = [lockFile(file, { mode: 'shared' }), lockFile(file, { mode: 'shared' })]
    await first.acquire()
    await second.acquire({ timeout: 0 })
    assert.deepEqual([first.held, second.held], [true, true])
    const alone = lockFile(file).acquire()
    assert.ok(await staysPending(alone))
    first.release()
    assert.ok(await staysPending(alone))
    second.release()
    const lock = await eventually(alone, 'the lock')
    assert.equal(await first.tryAcquire(), false)
    lock.release()
  },

  async 'the sync forms'() {
    const file = temporaryPath()
    const [lock, other] = [lockFile(file), lockFile(file)]
    assert.equal(lock.acquireSync(), lock)
    assert.equal(other.tryAcquireSync(), false)
    assert.throws(() => other.acquireSync({ timeout: 30 }), { code: 'ERR_LOCK_TIMEOUT', timeout: 30 })
    assert.throws(() => other.acquireSync(), { code: 'ERR_LOCK_DEADLOCK' })
    lock.release()
    assert.equal(other.tryAcquireSync(), true)
    other.release()
  },

  async 'first come, first served'() {
    const file = temporaryPath()
    const lock = await lockFile(file).acquire()
    const order = []
    const turns = Array.from({ length: 20 }, (_, i) => lockFile(file).run(() => order.push(i)))
    assert.ok(await staysPending(Promise.race(turns)))
    lock.release()
    await eventually(Promise.all(turns), 'the turns')
    assert.deepEqual(
      order,
      Array.from({ length: 20 }, (_, i) => i),
    )
  },

  async '1,000 waiters at once'() {
    const file = temporaryPath()
    const holder = await holderOf(file)
    let served = 0
    const turns = Array.from({ length: 1000 }, () =>
      lockFile(file).run(() => {
        served++
      }),
    )
    assert.ok(await staysPending(Promise.race(turns)))
    assert.equal(await holder.ask('release'), 'released')
    await eventually(Promise.all(turns), 'the turns')
    assert.equal(served, 1000)
  },

  async 'run() releases when its task has ended, or failed'() {
    const lock = lockFile(temporaryPath())
    const result = await lock.run(async (own) => {
      assert.equal(own, lock)
      await null
      assert.equal(lock.held, true)
      return 'result'
    })
    assert.equal(result, 'result')
    assert.equal(lock.held, false)
    const failure = new Error('on purpose')
    for (const task of [() => Promise.reject(failure), () => assert.fail(failure)]) {
      await assert.rejects(lock.run(task), failure)
      assert.equal(lock.held, false)
    }
  },

  async 'disposal releases what the handle holds'() {
    const lock = lockFile(temporaryPath())
    for (const dispose of [Symbol.dispose, Symbol.asyncDispose]) {
      await lock.acquire()
      await lock[dispose]()
      assert.equal(lock.held, false)
      await lock[dispose]()
    }
  },

  async '`using` and `await using`'() {
    const file = temporaryPath()
    for (const [form, block] of Object.entries(require('../using.cjs'))) {
      let seen
      const result = await block(file, (lock) => {
        assert.equal(lock.held, true)
        seen = lock
        return form
      })
      assert.equal(result, form)
      assert.equal(seen.held, false)
    }
  },

  async 'errors have their codes'() {
    const folder = temporaryFolder()
    const missing = path.join(folder, 'missing/test.lock')
    const expected = { code: 'ENOENT', syscall: 'open', path: missing }
    if (process.platform !== 'win32') {
      expected.errno = -2
      expected.message = `ENOENT: no such file or directory, open '${missing}'`
    }
    await assert.rejects(lockFile(missing).acquire(), expected)
    assert.throws(() => lockFile(missing).acquireSync(), expected)
    assert.throws(() => lockFile(1), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
    const lock = lockFile(path.join(folder, 'test.lock'))
    await assert.rejects(lock.acquire({ timeout: '1' }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
    await assert.rejects(lock.acquire({ timeout: -1 }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
    await assert.rejects(lock.acquire({ signal: {} }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  },

  async 'the stack of an error leads to the await'() {
    async function whoeverWaits(file) {
      await lockFile(file).acquire({ timeout: 0 })
    }
    const file = temporaryPath()
    const lock = await lockFile(file).acquire()
    for (const refused of [file, path.join(path.dirname(file), 'missing/test.lock')]) {
      await assert.rejects(whoeverWaits(refused), ({ stack }) => {
        assert.match(stack, /whoeverWaits.*lock\.cjs/)
        return true
      })
    }
    lock.release()
  },
}
