'use strict'

// The diagnostics channels.

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const diagnostics = require('node:diagnostics_channel')
const { test } = require('node:test')

const { lockFile, LockTimeoutError } = require('../..')
const { ROOT, temporaryPath } = require('../support/folders.js')
const { GOOD_END, Talker } = require('../support/processes.js')
const { errorOf } = require('../support/waiting.js')

/** All that is told on the channels of a new file from now on, until the test ends. */
function listen(t) {
  const file = temporaryPath(t)
  const told = []
  const acquisition = diagnostics.tracingChannel('locket.acquire')
  const note = (event) => (message) => {
    if (message.path === file) told.push({ event, message, ...message })
  }
  const subscribers = Object.fromEntries(ASYNC_ERROR.map((event) => [event, note(event)]))
  const release = note('release')
  acquisition.subscribe(subscribers)
  diagnostics.subscribe('locket.release', release)
  t.after(() => {
    acquisition.unsubscribe(subscribers)
    diagnostics.unsubscribe('locket.release', release)
  })
  /** The events since the last call. */
  const events = () => told.splice(0).map(({ event }) => event)
  return { file, told, events }
}

const ASYNC = ['start', 'end', 'asyncStart', 'asyncEnd']
const ASYNC_ERROR = ['start', 'end', 'error', 'asyncStart', 'asyncEnd']

test('an acquire is traced from its call to its outcome, in one context, and the release is told', async (t) => {
  const { file, told, events } = listen(t)
  const lock = lockFile(file, { timeout: 5000 })
  const wait = lock.acquire({ mode: 'shared' })
  assert.deepEqual(
    told.map(({ event, lock }) => [event, lock]),
    [
      ['start', lock],
      ['end', lock],
    ],
  )
  await wait
  const [{ message }] = told
  for (const each of told) assert.equal(each.message, message)
  assert.deepEqual(events(), ASYNC)
  const { acquisition } = message
  assert.equal(typeof acquisition, 'number')
  assert.deepEqual(message, { path: file, mode: 'shared', timeout: 5000, lock, acquisition, result: lock })
  lock.release()
  assert.deepEqual(told.at(-1).message, { path: file, acquisition })
  assert.deepEqual(events(), ['release'])
})

test('each release is told with the number of the acquisition that it ends, by whatever way that began', async (t) => {
  const { file, told } = listen(t)
  const lock = lockFile(file)
  const ways = {
    acquire: () => lock.acquire(),
    acquireSync: () => lock.acquireSync(),
    tryAcquire: () => lock.tryAcquire(),
    tryAcquireSync: () => lock.tryAcquireSync(),
    'acquire, by a shared lock': () => lock.acquire({ mode: 'shared' }),
    'acquire, after a wait': async () => {
      const holder = await lockFile(file).acquire()
      const wait = lock.acquire()
      holder.release()
      await wait
    },
  }
  const seen = new Set()
  for (const [way, acquire] of Object.entries(ways)) {
    for (const release of [() => lock.release(), () => lock[Symbol.dispose]()]) {
      await acquire()
      const acquired = told.filter(({ event }) => event === 'end' || event === 'asyncEnd').at(-1).message.acquisition
      release()
      assert.equal(told.at(-1).event, 'release')
      assert.equal(told.at(-1).message.acquisition, acquired, way)
      assert.ok(Number.isSafeInteger(acquired) && !seen.has(acquired), `${way}: ${acquired}`)
      seen.add(acquired)
    }
  }
  await lock.run(() => {})
  assert.equal(told.at(-1).message.acquisition, told.at(-2).message.acquisition)

  // By another handle, which has never asked for the lock.
  await lock.acquire()
  const { acquisition } = told.at(-1).message
  lockFile(file).release()
  assert.deepEqual(told.at(-1).message, { path: file, acquisition })
})

test('who subscribes before the package is loaded, or after, is told, also if nothing else refers to the channel', async (t) => {
  const source = `
    const diagnostics = require('node:diagnostics_channel')
    const told = []
    const subscribe = (name) => {
      const start = () => told.push(name + ' start')
      diagnostics.tracingChannel('locket.acquire').subscribe({ start, end() {}, asyncStart() {}, asyncEnd() {}, error() {} })
      diagnostics.subscribe('locket.release', () => told.push(name + ' release'))
    }
    const collect = async () => {
      await new Promise(setImmediate)
      gc()
    }
    const main = async () => {
      subscribe('before')
      await collect()
      const { lockFile } = require(process.argv[1])
      subscribe('after')
      await collect()
      lockFile(process.argv[2]).acquireSync().release()
      console.log(told.join())
    }
    main()`
  const child = new Talker(t, process.execPath, ['--expose-gc', '-e', source, ROOT, temporaryPath(t)])
  assert.equal(await child.line(), 'before start,after start,before release,after release')
  assert.deepEqual(await child.ended(), GOOD_END)
})

test('run, tryAcquire and the sync forms are traced, too', async (t) => {
  const { file, told, events } = listen(t)
  const lock = lockFile(file)
  await lock.run(() => assert.deepEqual(events(), ASYNC))
  assert.deepEqual(events(), ['release'])

  assert.equal(await lock.tryAcquire(), true)
  assert.deepEqual(
    told.splice(0).map(({ event, timeout, result }) => [event, timeout, result]),
    ASYNC.map((event) => [event, 0, event === 'start' || event === 'end' ? undefined : true]),
  )
  assert.equal(await lockFile(file).tryAcquire(), false)
  assert.equal(told.at(-1).message.result, false)
  assert.deepEqual(events(), ASYNC)
  assert.equal(lockFile(file).tryAcquireSync(), false)
  assert.deepEqual(events(), ['start', 'end'])
  lock.release()
  events()

  lock.acquireSync({ timeout: 10 })
  assert.deepEqual(
    told.map(({ event, timeout }) => [event, timeout]),
    [
      ['start', 10],
      ['end', 10],
    ],
  )
  lock.release()
})

test('a wait in vain is traced with its error, which leads to the await all the same, and without a number', async (t) => {
  const { file, told } = listen(t)
  const holder = await lockFile(file).acquire()
  told.splice(0)
  async function theCaller() {
    await lockFile(file).acquire({ timeout: 5 })
  }
  for (const [call, events] of [
    [theCaller, ASYNC_ERROR],
    [() => lockFile(file).acquire({ signal: AbortSignal.abort() }), ASYNC_ERROR],
    [async () => lockFile(file).acquireSync({ timeout: 5 }), ['start', 'error', 'end']],
  ]) {
    const error = await errorOf(call)
    if (call === theCaller) assert.ok(error instanceof LockTimeoutError && /theCaller/.test(error.stack), error.stack)
    const messages = told.splice(0)
    assert.deepEqual(
      messages.map(({ event }) => event),
      events,
    )
    assert.equal(messages[2].message.error, error)
    for (const { message } of messages) assert.equal('acquisition' in message, false)
  }
  await lockFile(file).tryAcquire()
  for (const { message } of told) assert.equal('acquisition' in message, false)
  holder.release()
})

test('bad arguments are not traced, and neither is what releases nothing', async (t) => {
  const { file, told } = listen(t)
  const lock = lockFile(file)
  await assert.rejects(lock.acquire({ timeout: -1 }), RangeError)
  await assert.rejects(lock.tryAcquire({ timeout: 1 }), TypeError)
  assert.throws(() => lock.acquireSync({ mode: 'x' }), TypeError)
  assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
  await lock[Symbol.asyncDispose]?.()
  assert.deepEqual(told, [])
})

test('what a task releases itself is told once', async (t) => {
  const { file, events } = listen(t)
  await lockFile(file).run((lock) => lock.release())
  assert.deepEqual(events(), [...ASYNC, 'release'])
})

test('a store that is bound to the start is there when the wait ends, and the caller keeps its own', async (t) => {
  const file = temporaryPath(t)
  const spans = new AsyncLocalStorage()
  const acquisition = diagnostics.tracingChannel('locket.acquire')
  acquisition.start.bindStore(spans, ({ path }) => `span of ${path}`)
  const seen = []
  const subscribers = { asyncEnd: () => seen.push(spans.getStore()) }
  acquisition.subscribe(subscribers)
  t.after(() => {
    acquisition.start.unbindStore(spans)
    acquisition.unsubscribe(subscribers)
  })
  await spans.run('request', async () => {
    await lockFile(file).run(() => assert.equal(spans.getStore(), 'request'))
    assert.equal(spans.getStore(), 'request')
  })
  assert.deepEqual(seen, [`span of ${file}`])
})

test('a subscriber that throws does not keep the lock from anybody', async (t) => {
  const file = temporaryPath(t)
  const failing = () => {
    throw new Error('on purpose')
  }
  const failures = []
  process.setUncaughtExceptionCaptureCallback((error) => failures.push(error.message))
  diagnostics.subscribe('locket.release', failing)
  t.after(() => {
    diagnostics.unsubscribe('locket.release', failing)
    process.setUncaughtExceptionCaptureCallback(null)
  })
  await lockFile(file).run(() => {})
  await lockFile(file).run(() => {})
  await new Promise(setImmediate)
  assert.deepEqual(failures, ['on purpose', 'on purpose'])
})
