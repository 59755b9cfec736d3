'use strict'

// FileLock objects: how they are made, what they show, and what cannot be done with them; isLocked.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { inspect } = require('node:util')
const v8 = require('node:v8')
const { MessageChannel, Worker } = require('node:worker_threads')

const { FileLock, lockFile } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { agent, holderOf } = require('../support/processes.js')
const { eventually } = require('../support/waiting.js')

test('new FileLock() makes the same as lockFile()', async (t) => {
  const file = temporaryPath(t)
  class Derived extends FileLock {}
  for (const lock of [new FileLock(file), new Derived(file, { timeout: 5 }), Reflect.construct(FileLock, [file])]) {
    assert.ok(lock instanceof FileLock)
    assert.equal(lock.path, file)
    await lock.acquire()
    assert.equal(await isFree(file), false)
    lock.release()
  }
  assert.throws(() => new FileLock(), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message: /path/ })
  assert.throws(() => new FileLock(file, { wait: 5 }), { code: 'ERR_INVALID_ARG_VALUE', message: /wait/ })
})

test('a handle that was just made answers all questions, and holds nothing', async (t) => {
  const fresh = () => lockFile(temporaryPath(t))
  assert.equal(fresh().held, false)
  assert.equal(fresh().lost.aborted, false)
  assert.equal(await fresh().isLocked(), false)
  assert.deepEqual((await fresh().holders()) ?? [], [])
  fresh()[Symbol.dispose]()
  await fresh()[Symbol.asyncDispose]()
  assert.throws(() => fresh().release(), { code: 'ERR_LOCK_NOT_HELD' })
})

test('the native part of a handle is made when it is first needed, and only once', async (t) => {
  // The garbage collector frees it only in the event loop: many handles in synchronous code would pile up.
  const create = t.mock.method(require('../../lib/native.js'), 'createHandle')
  const lock = require('../../lib/index.js').lockFile(temporaryPath(t))
  assert.deepEqual([lock.held, lock.lost.aborted], [false, false])
  lock[Symbol.dispose]()
  await lock[Symbol.asyncDispose]()
  assert.equal(create.mock.callCount(), 0)
  await lock.acquire()
  lock.release()
  await lock.run(() => {})
  await lock.isLocked()
  assert.equal(create.mock.callCount(), 1)
})

test('a method without its handle is refused, and says how to call it', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  const methods = ['acquire', 'acquireSync', 'tryAcquire', 'tryAcquireSync', 'release', 'run', 'isLocked', 'holders']
  const rejecting = ['acquire', 'tryAcquire', 'run', 'isLocked', 'holders']
  const refusal = { name: 'TypeError', code: 'ERR_INVALID_THIS', message: /as a method/ }
  for (const name of methods) {
    for (const foreign of [undefined, null, 5, {}, Object.create(lock), new Proxy(lock, {})]) {
      const call = () => lock[name].call(foreign, () => {})
      if (rejecting.includes(name)) await assert.rejects(call(), refusal, name)
      else assert.throws(call, refusal, name)
    }
  }
  for (const name of ['path', 'held', 'lost']) assert.throws(() => FileLock.prototype[name], refusal)
  assert.throws(() => FileLock.prototype[Symbol.dispose](), refusal)
  await assert.rejects(FileLock.prototype[Symbol.asyncDispose](), refusal)
  assert.equal(await isFree(file), true)
})

test('a handle cannot be cloned, posted to a thread, or given to a new one', (t) => {
  const lock = lockFile(temporaryPath(t))
  const { port1, port2 } = new MessageChannel()
  t.after(() => port1.close())
  const ways = [
    () => structuredClone(lock),
    () => structuredClone({ deep: [lock] }),
    () => port2.postMessage(lock),
    () => new Worker('', { eval: true, workerData: lock }),
    () => v8.serialize(lock),
  ]
  for (const clone of ways) {
    assert.throws(clone, /a FileLock cannot be cloned: call lockFile\(path\) where it is needed/, String(clone))
  }
})

test('a handle shows its path and whether it is held, and one that is wrapped can be printed', async (t) => {
  const lock = lockFile(temporaryPath(t))
  assert.equal(inspect(lock, { breakLength: Infinity }), `FileLock { path: ${inspect(lock.path)}, held: false }`)
  await lock.run(() => assert.match(inspect([lock]), /FileLock \{.*held: true/s))
  for (const wrapped of [new Proxy(lock, {}), Object.create(lock)]) assert.equal(typeof inspect(wrapped), 'string')
})

test('isLocked tells of holders in this process and in others, in either mode', async (t) => {
  const file = temporaryPath(t)
  const other = agent(t, file)
  const lock = lockFile(file)
  assert.equal(await lock.isLocked(), false)
  for (const mode of ['exclusive', 'shared']) {
    await lock.acquire({ mode })
    assert.equal(await lock.isLocked(), true)
    assert.equal(await lockFile(file).isLocked(), true)
    lock.release()
    assert.equal(await lock.isLocked(), false)
    assert.equal(await other.ask(`try {"mode":"${mode}"}`), 'true')
    assert.equal(await lock.isLocked(), true)
    assert.equal(await other.ask('release'), 'released')
    assert.equal(await lock.isLocked(), false)
  }
})

test('isLocked answers while others wait, and makes no try of this process fail', async (t) => {
  const file = temporaryPath(t)
  const other = await holderOf(t, file)
  const wait = lockFile(file).acquire()
  assert.equal(await eventually(lockFile(file).isLocked(), 'the answer'), true)
  assert.equal(await other.ask('release'), 'released')
  const lock = await wait
  lock.release()
  for (let i = 0; i < 200; i++) {
    const answer = lockFile(file).isLocked()
    assert.equal(await lock.tryAcquire(), true, `round ${i}`)
    lock.release()
    await answer
  }
})
