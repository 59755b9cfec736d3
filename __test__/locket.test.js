'use strict'

// The cases of the test suite of Python's locket, by their names there, for this API.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { LockError, LockTimeoutError, lockFile } = require('..')
const { PATIENCE, agent, eventually, isFree, staysPending, temporaryFolder, temporaryPath } = require('./support.js')

const CONTENDER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { lockFile } = require(workerData.home)
  const wait = lockFile(workerData.file).acquire(workerData.options)
  parentPort.postMessage('waiting')
  wait.then(() => parentPort.postMessage('acquired'))`

/** A thread that acquires the lock of `file`: promises of its being at it, and of its having it. */
function contender(t, file, options) {
  const workerData = { home: path.dirname(__dirname), file, options }
  const worker = new Worker(CONTENDER, { eval: true, workerData })
  t.after(() => worker.terminate())
  const said = (what) =>
    new Promise((resolve, reject) => {
      worker.on('message', (message) => message === what && resolve())
      worker.on('error', reject)
    })
  const [waiting, acquired] = [said('waiting'), said('acquired')]
  acquired.catch(() => {})
  return { waiting: eventually(waiting, 'the thread'), acquired }
}

test('single process can obtain uncontested lock', async (t) => {
  const lock = lockFile(temporaryPath(t))
  let ran = false
  await lock.run(() => {
    ran = true
    assert.equal(lock.held, true)
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
  const lock = lockFile(temporaryPath(t))
  await lock.acquire()
  const second = lock.acquire()
  assert.ok(await staysPending(second))
  lock.release()
  await eventually(second, 'the second acquisition')
  assert.equal(lock.held, true)
  lock.release()
})

test('thread cannot obtain lock using same path twice without release', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const here = lockFile(file).acquire()
  const { waiting, acquired } = contender(t, file)
  await waiting
  assert.ok(await staysPending(Promise.race([here, acquired])))
  lock.release()
  const next = await eventually(here, 'the second acquisition')
  assert.ok(await staysPending(acquired))
  next.release()
  await eventually(acquired, 'the acquisition of the thread')
})

test('thread cannot obtain lock using same path with different arguments without release', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file, { timeout: PATIENCE }).acquire()
  const here = lockFile(file, { timeout: PATIENCE * 2 }).acquire()
  const { waiting, acquired } = contender(t, file, { timeout: PATIENCE * 3 })
  await waiting
  assert.ok(await staysPending(Promise.race([here, acquired])))
  lock.release()
  const next = await eventually(here, 'the second acquisition')
  assert.ok(await staysPending(acquired))
  next.release()
  await eventually(acquired, 'the acquisition of the thread')
})

test('calling release on unlocked lock raises lock error', async (t) => {
  const lock = lockFile(temporaryPath(t))
  const refuses = () =>
    assert.throws(
      () => lock.release(),
      (error) => error instanceof LockError && /^cannot release unlocked lock/.test(error.message),
    )
  refuses()
  await lock.acquire()
  lock.release()
  refuses()
})

test('the same lock is used for the same path', async (t) => {
  const file = temporaryPath(t)
  const [one, other] = [lockFile(file), lockFile(file)]
  await one.acquire()
  assert.equal(await other.tryAcquire(), false)
  one.release()
  assert.equal(await other.tryAcquire(), true)
  other.release()
})

test('the same lock is used for the same path with different arguments', async (t) => {
  const file = temporaryPath(t)
  const [one, other] = [lockFile(file, { timeout: 0 }), lockFile(file, { timeout: PATIENCE })]
  await one.acquire()
  assert.equal(await other.tryAcquire(), false)
  one.release()
  assert.equal(await other.tryAcquire(), true)
  other.release()
})

test('different locks are used for different paths', async (t) => {
  const folder = temporaryFolder(t)
  const one = await lockFile(path.join(folder, 'one.lock')).acquire({ timeout: 0 })
  const other = await lockFile(path.join(folder, 'other.lock')).acquire({ timeout: 0 })
  one.release()
  assert.equal(one.held, false)
  assert.equal(other.held, true)
  other.release()
})

test('lock file blocks until lock is available', async (t) => {
  const file = temporaryPath(t)
  const [holder, waiter] = [agent(t, file), agent(t, file)]
  assert.equal(await holder.ask('acquire'), 'waiting')
  assert.equal(await holder.line(), 'acquired')
  assert.equal(await waiter.ask('acquire'), 'waiting')
  const got = waiter.line()
  assert.ok(await staysPending(got))
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await got, 'acquired')
  assert.equal(await holder.ask('try'), 'false')
  assert.equal(await waiter.ask('release'), 'released')
  assert.equal(await holder.ask('try'), 'true')
})

test('lock is released if holding process is brutally killed', async (t) => {
  const file = temporaryPath(t)
  const [holder, waiter] = [agent(t, file), agent(t, file)]
  assert.equal(await holder.ask('acquire'), 'waiting')
  assert.equal(await holder.line(), 'acquired')
  assert.equal(await waiter.ask('acquire'), 'waiting')
  const got = waiter.line()
  assert.ok(await staysPending(got))
  assert.equal((await holder.kill('SIGKILL')).signal, 'SIGKILL')
  assert.equal(await got, 'acquired')
})

test('can set timeout to zero to raise exception if lock cannot be acquired', async (t) => {
  const file = temporaryPath(t)
  const holder = agent(t, file)
  assert.equal(await holder.ask('try'), 'true')
  const lock = lockFile(file, { timeout: 0 })
  await assert.rejects(eventually(lock.acquire(), 'the refusal'), LockTimeoutError)
  assert.throws(() => lock.acquireSync(), LockTimeoutError)
  assert.equal(lock.held, false)
  assert.equal(await holder.ask('release'), 'released')
  await lock.acquire()
  lock.release()
})

test('error is raised after timeout has expired', async (t) => {
  const file = temporaryPath(t)
  const holder = agent(t, file)
  assert.equal(await holder.ask('try'), 'true')
  const lock = lockFile(file, { timeout: 50 })
  const waits = [
    () => lock.acquire(),
    async () => lock.acquireSync(),
    () => lock.run(() => assert.fail('the task ran')),
  ]
  for (const wait of waits) {
    const start = performance.now()
    await assert.rejects(eventually(wait(), 'the end of the wait'), LockTimeoutError)
    const waited = performance.now() - start
    assert.ok(waited >= 50, `waited ${waited} ms`)
    assert.equal(lock.held, false)
  }
})

test('lock is acquired if available before timeout expires', async (t) => {
  const file = temporaryPath(t)
  const holder = agent(t, file)
  assert.equal(await holder.ask('try'), 'true')
  const wait = lockFile(file, { timeout: PATIENCE }).acquire()
  assert.ok(await staysPending(wait))
  assert.equal(await holder.ask('release'), 'released')
  const lock = await eventually(wait, 'the lock')
  assert.equal(lock.held, true)
  assert.equal(await holder.ask('try'), 'false')
  lock.release()
})
