'use strict'

// AbortSignals. An aborted wait leaves no trace.

const assert = require('node:assert/strict')
const { getEventListeners } = require('node:events')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile, query } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { allQueued, isFree } = require('../support/locks.js')
const { holderOf } = require('../support/processes.js')
const { errorOf, eventually, PATIENCE, staysPending } = require('../support/waiting.js')

const ABORTED = { name: 'AbortError', code: 'ABORT_ERR' }

/** How a promise ends: 'resolved', or the code of its error. */
const codeOf = (promise) =>
  promise.then(
    () => 'resolved',
    ({ code }) => code,
  )

const listenersOn = (signal) => getEventListeners(signal, 'abort').length

test('an abort before the file is even open ends the wait, or the lock came first; nothing remains', async (t) => {
  const file = temporaryPath(t)
  const controller = new AbortController()
  const lock = lockFile(file)
  const wait = lock.acquire({ signal: controller.signal })
  controller.abort()
  assert.match(await codeOf(wait), /^(resolved|ABORT_ERR)$/)
  lock[Symbol.dispose]()
  assert.equal(await isFree(file), true)
})

test('no listener stays on the signal, whatever the outcome', async (t) => {
  const file = temporaryPath(t)
  const { signal } = new AbortController()
  const lock = lockFile(file)
  await lock.acquire({ signal })
  assert.equal(await lockFile(file).tryAcquire({ signal }), false)
  await assert.rejects(lockFile(file).acquire({ signal, timeout: 5 }))
  await assert.rejects(lockFile(path.join(file, 'below')).acquire({ signal }))
  lock.release()
  await lock.run(() => {}, { signal })
  assert.equal(listenersOn(signal), 0)
})

test('an abort that comes before the task keeps run from calling it, however late it comes', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  // By one microtask more each time: some come before the grant, some between it and the task, some after the task.
  const outcomes = new Set()
  for (let microtasks = 0; !outcomes.has('resolved'); microtasks++) {
    const what = `${microtasks} microtasks`
    const { signal, abort } = abortable()
    let called = false
    const task = () => {
      called = true
      assert.equal(signal.aborted, false, `the task ran after the abort, ${what} later`)
    }
    const outcome = codeOf(lock.run(task, { signal }))
    for (let i = 0; i < microtasks; i++) await null
    // After hundreds, the grant came by the event loop: with a turn of that, too.
    if (microtasks > 100) await new Promise(setImmediate)
    const early = !called
    abort()
    assert.equal(await outcome, early ? 'ABORT_ERR' : 'resolved', what)
    assert.equal(called, !early, what)
    outcomes.add(await outcome)
    assert.equal(await isFree(file), true)
  }
  assert.deepEqual([...outcomes], ['ABORT_ERR', 'resolved'])
})

test('an abort in the same turn as the grant keeps run from calling its task, also after a wait', async (t) => {
  const file = temporaryPath(t)
  for (let microtasks = 0; microtasks < 8; microtasks++) {
    const holder = await lockFile(file).acquire()
    const { signal, abort } = abortable()
    const outcome = codeOf(lockFile(file).run(() => assert.equal(signal.aborted, false), { signal }))
    assert.ok(await staysPending(outcome))
    holder.release()
    for (let i = 0; i < microtasks; i++) await null
    abort()
    assert.match(await eventually(outcome, 'the outcome'), /^(resolved|ABORT_ERR)$/)
    assert.equal(await isFree(file), true)
  }
})

test('a grant that came before the abort stays: acquire resolves, and the lock is held', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  const { signal, abort } = abortable()
  const wait = lock.acquire({ signal })
  // Without a turn of the event loop: the lock comes, but its caller has not heard of it yet.
  const end = Date.now() + PATIENCE
  while (!query().held.some(({ path: held }) => held === file)) assert.ok(Date.now() < end, 'the lock never came')
  assert.equal(lock.held, false)
  abort()
  await wait
  assert.equal(lock.held, true)
  lock.release()
})

test('eleven waits and more on one signal are one listener, without a warning, and all end', async (t) => {
  const warnings = []
  const warned = (warning) => warnings.push(warning)
  process.on('warning', warned)
  t.after(() => process.off('warning', warned))
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const { signal, abort } = abortable()
  const waits = Array.from({ length: 30 }, () => codeOf(lockFile(file).acquire({ signal })))
  assert.equal(listenersOn(signal), 1)
  await assert.rejects(lockFile(file).acquire({ signal, timeout: 1 }), { code: 'ERR_LOCK_TIMEOUT' })
  assert.equal(listenersOn(signal), 1)
  abort()
  assert.deepEqual(await eventually(Promise.all(waits), 'all rejections'), Array(30).fill('ABORT_ERR'))
  assert.equal(listenersOn(signal), 0)
  await new Promise(setImmediate)
  assert.deepEqual(warnings, [])
  holder.release()
})

/** A signal of this realm. */
function abortable() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}

/** A signal of no class of this realm. `fails`: the method that throws. */
function foreignSignal(fails) {
  const target = new EventTarget()
  const signal = {
    aborted: false,
    addEventListener(...args) {
      if (fails === 'addEventListener') throw new Error('on purpose')
      target.addEventListener(...args)
    },
    removeEventListener(...args) {
      target.removeEventListener(...args)
      if (fails === 'removeEventListener') throw new Error('on purpose')
    },
  }
  const abort = () => {
    signal.aborted = true
    target.dispatchEvent(new Event('abort'))
  }
  return { signal, abort }
}

/** One whose event somebody stops who has listened earlier. */
function stoppedSignal() {
  const { signal, abort } = abortable()
  signal.addEventListener('abort', (event) => event.stopImmediatePropagation())
  return { signal, abort }
}

const SIGNALS = {
  'a plain signal': abortable,
  'a signal of another realm, or of a polyfill': foreignSignal,
  'a signal whose event an earlier listener stops': stoppedSignal,
}

for (const [what, make] of Object.entries(SIGNALS)) {
  test(`${what} ends the wait, and a grant arrives`, async (t) => {
    const file = temporaryPath(t)
    const { signal } = make()
    await lockFile(file).run(() => {}, { signal })
    const holder = await holderOf(t, file)
    for (const wait of [
      (lock, signal) => lock.acquire({ signal }),
      (lock, signal) => lock.run(() => assert.fail('the task ran'), { signal }),
    ]) {
      const { signal, abort } = make()
      const lock = lockFile(file)
      const error = errorOf(() => wait(lock, signal))
      assert.ok(await staysPending(error))
      abort()
      const { name, code } = await error
      assert.deepEqual({ name, code }, ABORTED)
      await assert.rejects(lock.tryAcquire({ signal }), ABORTED)
    }
    assert.equal(await holder.ask('release'), 'released')
    assert.equal(await isFree(file), true)
  })
}

test('a signal whose own methods throw does not leave the lock held', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  await lock.acquire({ signal: foreignSignal('removeEventListener').signal })
  assert.equal(lock.held, true)
  lock.release()
  await assert.rejects(lock.acquire({ signal: foreignSignal('addEventListener').signal }), /on purpose/)
  assert.equal(await isFree(file), true)

  const { signal } = foreignSignal()
  let reads = 0
  Object.defineProperty(signal, 'aborted', {
    get() {
      reads++
      if (lock.held) throw new Error('on purpose')
      return false
    },
  })
  await assert.rejects(() => lock.run(() => assert.fail('the task ran'), { signal }), /on purpose/)
  assert.ok(reads > 0)
  assert.equal(await isFree(file), true)
})

test('those behind a cancelled waiter move up', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const order = []
  const waiter = (name, options) =>
    lockFile(file)
      .run(() => order.push(name), options)
      .catch((error) => order.push(`${name} ${error.code}`))
  const { signal, abort } = abortable()
  const waits = [waiter('first', { signal }), waiter('second'), waiter('third', { timeout: 1 }), waiter('fourth')]
  await waits[2]
  abort()
  await waits[0]
  holder.release()
  await Promise.all(waits)
  assert.deepEqual(order, ['third ERR_LOCK_TIMEOUT', 'first ABORT_ERR', 'second', 'fourth'])
})

const SHARED_HOLDERS = {
  'of this process': (_, file) => lockFile(file).acquire({ mode: 'shared' }),
  'of another process': (t, file) => holderOf(t, file, { mode: 'shared' }),
}

for (const [whose, hold] of Object.entries(SHARED_HOLDERS)) {
  test(`a shared waiter behind a cancelled exclusive one joins the shared holders ${whose}`, async (t) => {
    const file = temporaryPath(t)
    await hold(t, file)
    const { signal, abort } = abortable()
    const exclusive = lockFile(file).acquire({ signal })
    await allQueued(file)
    const shared = lockFile(file).acquire({ mode: 'shared' })
    assert.ok(await staysPending(shared))
    abort()
    await assert.rejects(exclusive, ABORTED)
    const joined = await eventually(shared, 'the shared lock')
    joined.release()
  })
}
