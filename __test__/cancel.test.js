'use strict'

// Cancelling leaves no trace.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile, query } = require('..')
const { kernelLocks } = require('./fixtures/kernel-locks.js')
const { agent, allInLine, eventually, isFree, PATIENCE, script, staysPending, temporaryPath } = require('./support.js')

/** Runs `body` with a lock that another process holds. */
async function whileHeldByAnother(t, body) {
  const file = temporaryPath(t)
  const holder = agent(t, file)
  assert.equal(await holder.ask('try'), 'true')
  await body(file, holder)
}

test('a wait ends at its timeout, and not before', (t) =>
  whileHeldByAnother(t, async (file) => {
    for (const timeout of [1, 20, 150]) {
      const begin = performance.now()
      await assert.rejects(lockFile(file).acquire({ timeout }), { code: 'ERR_LOCK_TIMEOUT', timeout })
      assert.ok(performance.now() - begin >= timeout - 0.5)
    }
  }))

test('a synchronous wait ends at its timeout, and not before', (t) =>
  whileHeldByAnother(t, (file) => {
    for (const timeout of [1, 20, 150]) {
      const begin = performance.now()
      assert.throws(() => lockFile(file).acquireSync({ timeout }), { code: 'ERR_LOCK_TIMEOUT', timeout })
      assert.ok(performance.now() - begin >= timeout - 0.5)
    }
  }))

test('the lock is acquired if it is released before the timeout', (t) =>
  whileHeldByAnother(t, async (file, holder) => {
    const wait = lockFile(file).acquire({ timeout: 60_000 })
    assert.ok(await staysPending(wait))
    holder.say('release')
    const lock = await eventually(wait, 'the lock')
    lock.release()
  }))

test('a wait that is aborted ends at once', (t) =>
  whileHeldByAnother(t, async (file) => {
    const controller = new AbortController()
    const wait = lockFile(file).acquire({ signal: controller.signal })
    assert.ok(await staysPending(wait))
    controller.abort()
    await assert.rejects(eventually(wait, 'the rejection'), { name: 'AbortError' })
  }))

test('an abort before the file has even been opened ends the wait', async (t) => {
  const file = temporaryPath(t)
  const controller = new AbortController()
  const wait = lockFile(file).acquire({ signal: controller.signal })
  controller.abort()
  // The lock may have come first; either way nothing remains.
  await wait.then(
    (lock) => lock.release(),
    (error) => assert.equal(error.name, 'AbortError'),
  )
  assert.equal(await isFree(file), true)
})

test('no listener stays on the signal, whatever the outcome', async (t) => {
  const { getEventListeners } = require('node:events')
  const file = temporaryPath(t)
  const { signal } = new AbortController()
  const lock = lockFile(file)
  await lock.acquire({ signal })
  assert.equal(await lockFile(file).tryAcquire({ signal }), false)
  await assert.rejects(lockFile(file).acquire({ signal, timeout: 5 }))
  await assert.rejects(lockFile(path.join(file, 'below')).acquire({ signal }))
  lock.release()
  await lock.run(() => {}, { signal })
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('an abort that comes before the task keeps run from calling it, however late it comes', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  // By one microtask more each time: some come before the grant, some between it and the task, some after the task.
  const outcomes = new Set()
  for (let microtasks = 0; !outcomes.has('resolved'); microtasks++) {
    const controller = new AbortController()
    let called = false
    const run = lock.run(
      () => {
        called = true
        assert.equal(controller.signal.aborted, false, `the task ran after the abort, ${microtasks} microtasks later`)
      },
      { signal: controller.signal },
    )
    run.catch(() => {})
    for (let i = 0; i < microtasks; i++) await null
    // By hundreds, it came by the event loop: with a turn of that, too.
    if (microtasks > 100) await new Promise(setImmediate)
    const early = !called
    controller.abort()
    const outcome = await run.then(
      () => 'resolved',
      ({ code }) => code,
    )
    assert.equal(called, !early, `${microtasks} microtasks`)
    assert.equal(outcome, early ? 'ABORT_ERR' : 'resolved', `${microtasks} microtasks`)
    outcomes.add(outcome)
    assert.equal(await isFree(file), true)
  }
  assert.deepEqual([...outcomes], ['ABORT_ERR', 'resolved'])
})

test('an abort in the same turn as the grant keeps run from calling its task, also after a wait', async (t) => {
  const file = temporaryPath(t)
  for (let microtasks = 0; microtasks < 8; microtasks++) {
    const holder = await lockFile(file).acquire()
    const controller = new AbortController()
    const run = lockFile(file).run(() => assert.equal(controller.signal.aborted, false), { signal: controller.signal })
    const outcome = run.then(
      () => 'resolved',
      ({ code }) => code,
    )
    assert.ok(await staysPending(run.catch(() => {})))
    holder.release()
    for (let i = 0; i < microtasks; i++) await null
    controller.abort()
    assert.match(await eventually(outcome, 'the outcome'), /^(resolved|ABORT_ERR)$/)
    assert.equal(await isFree(file), true)
  }
})

test('a grant that came before the abort stays: acquire resolves, and the lock is held', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  const controller = new AbortController()
  const wait = lock.acquire({ signal: controller.signal })
  // Without a turn of the event loop: the lock comes, but its caller has not heard of it yet.
  const end = Date.now() + PATIENCE
  while (!query().held.some(({ path: held }) => held === file)) assert.ok(Date.now() < end, 'the lock never came')
  assert.equal(lock.held, false)
  controller.abort()
  await wait
  assert.equal(lock.held, true)
  lock.release()
})

test('eleven waits and more on one signal are one listener, without a warning, and all end', async (t) => {
  const { getEventListeners } = require('node:events')
  const warnings = []
  const warned = (warning) => warnings.push(warning)
  process.on('warning', warned)
  t.after(() => process.off('warning', warned))
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const controller = new AbortController()
  const { signal } = controller
  const waits = Array.from({ length: 30 }, () => lockFile(file).acquire({ signal }))
  assert.equal(getEventListeners(signal, 'abort').length, 1)
  const late = lockFile(file).acquire({ signal, timeout: 1 })
  await assert.rejects(late, { code: 'ERR_LOCK_TIMEOUT' })
  assert.equal(getEventListeners(signal, 'abort').length, 1)
  controller.abort()
  const outcomes = await eventually(Promise.allSettled(waits), 'all rejections')
  assert.ok(outcomes.every(({ reason }) => reason?.code === 'ABORT_ERR'))
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  await new Promise(setImmediate)
  assert.deepEqual(warnings, [])
  holder.release()
})

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

test('a signal of another realm, or of a polyfill, ends the wait', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  for (const form of ['acquire', 'run']) {
    const { signal, abort } = foreignSignal()
    const lock = lockFile(file)
    const wait = form === 'run' ? lock.run(() => assert.fail('the task ran'), { signal }) : lock.acquire({ signal })
    assert.ok(await staysPending(wait))
    abort()
    await assert.rejects(eventually(wait, 'the rejection'), { name: 'AbortError', code: 'ABORT_ERR' })
    await assert.rejects(lock.tryAcquire({ signal }), { code: 'ABORT_ERR' })
  }
  holder.release()
  assert.equal(await isFree(file), true)
})

test('a signal whose own methods throw keeps no lock from its user', async (t) => {
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
  await assert.rejects(
    lock.run(() => assert.fail('the task ran'), { signal }),
    /on purpose/,
  )
  assert.ok(reads > 0)
  assert.equal(await isFree(file), true)
})

test('a signal whose methods somebody has replaced ends the wait all the same, and a grant arrives', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  const controller = new AbortController()
  const { signal } = controller
  signal.addEventListener = signal.removeEventListener = () => assert.fail('not asked')
  await lock.acquire({ signal })
  assert.equal(lock.held, true)
  const wait = lockFile(file).acquire({ signal })
  assert.ok(await staysPending(wait))
  controller.abort()
  await assert.rejects(wait, { code: 'ABORT_ERR' })
  lock.release()
  assert.equal(await isFree(file), true)
})

test('a wait ends although somebody who listened earlier has stopped the event', (t) =>
  whileHeldByAnother(t, async (file) => {
    const controller = new AbortController()
    controller.signal.addEventListener('abort', (event) => event.stopImmediatePropagation())
    const wait = lockFile(file).acquire({ signal: controller.signal })
    assert.ok(await staysPending(wait))
    controller.abort()
    await assert.rejects(eventually(wait, 'the rejection'), { code: 'ABORT_ERR' })
  }))

test('those behind a cancelled waiter move up', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const order = []
  const waiter = (name, options) =>
    lockFile(file)
      .run(() => order.push(name), options)
      .catch((error) => order.push(`${name} ${error.code}`))
  const controller = new AbortController()
  const waits = [
    waiter('first', { signal: controller.signal }),
    waiter('second'),
    waiter('third', { timeout: 1 }),
    waiter('fourth'),
  ]
  await waits[2]
  controller.abort()
  await waits[0]
  holder.release()
  await Promise.all(waits)
  assert.deepEqual(order, ['third ERR_LOCK_TIMEOUT', 'first ABORT_ERR', 'second', 'fourth'])
})

const SHARED_HOLDERS = {
  'of this process': (_, file) => lockFile(file).acquire({ mode: 'shared' }),
  'of another process': async (t, file) => assert.equal(await agent(t, file).ask('try {"mode":"shared"}'), 'true'),
}

for (const [whose, hold] of Object.entries(SHARED_HOLDERS)) {
  test(`a shared waiter behind a cancelled exclusive one joins the shared holders ${whose}`, async (t) => {
    const file = temporaryPath(t)
    await hold(t, file)
    const controller = new AbortController()
    const exclusive = lockFile(file).acquire({ signal: controller.signal })
    await allInLine(file)
    const shared = lockFile(file).acquire({ mode: 'shared' })
    assert.ok(await staysPending(shared))
    controller.abort()
    await assert.rejects(exclusive, { code: 'ABORT_ERR' })
    const joined = await eventually(shared, 'the shared lock')
    joined.release()
  })
}

test('a wait that has been rejected is out of the kernel, and holds nothing', async (t) => {
  if (process.platform !== 'linux') return t.skip("only Linux shows the kernel's table of locks")
  const file = temporaryPath(t)
  // Another process takes and leaves the lock all the time, so that grants and deadlines meet.
  const churn = script(
    t,
    `
    const lock = lockFile(process.argv[1])
    const hold = () => { const end = performance.now() + Math.random() * 2; while (performance.now() < end); }
    console.log('busy')
    process.stdin.on('data', () => process.exit(0))
    const loop = async () => { for (;;) { await lock.run(hold); await new Promise(setImmediate) } }
    loop()
    `,
    [file],
  )
  assert.equal(await churn.line(), 'busy')
  const lock = lockFile(file)
  let granted = 0
  let rejected = 0
  // And on until both have been seen: which of the two comes first is for the machine to say.
  for (let i = 0; i < 1000 || granted === 0 || rejected === 0; i++) {
    const wait =
      i % 2 === 0
        ? lock.acquire({ timeout: Math.random() * 2 })
        : lock.acquire({ signal: AbortSignal.timeout(Math.floor(Math.random() * 3)) })
    try {
      await wait
      granted++
      lock.release()
    } catch (error) {
      assert.match(error.code, /^(ERR_LOCK_TIMEOUT|ABORT_ERR)$/)
      rejected++
    }
    assert.deepEqual(kernelLocks(file), [], `after round ${i}`)
  }
})

test('a thousand waits that end at the same time all end', (t) =>
  whileHeldByAnother(t, async (file) => {
    const waits = Array.from({ length: 1000 }, () => lockFile(file).acquire({ timeout: 30 }))
    const outcomes = await eventually(Promise.allSettled(waits), 'all rejections')
    assert.ok(outcomes.every(({ reason }) => reason?.code === 'ERR_LOCK_TIMEOUT'))
  }))

test('300 waits for 300 locked files all end at their timeout', async (t) => {
  const folder = path.dirname(temporaryPath(t))
  const files = Array.from({ length: 300 }, (_, i) => path.join(folder, `lock-${i}`))
  const holder = script(
    t,
    `for (const file of process.argv.slice(1)) lockFile(file).acquireSync()
    console.log('held')
    process.stdin.resume()`,
    files,
  )
  assert.equal(await holder.line(), 'held')
  const waits = files.map((file) => lockFile(file).acquire({ timeout: 100 }))
  const outcomes = await eventually(Promise.allSettled(waits), 'all rejections')
  assert.ok(outcomes.every(({ reason }) => reason?.code === 'ERR_LOCK_TIMEOUT'))

  // More than may block in the kernel at once; the others try at a pace, and get in all the same.
  const again = files.map((file) => lockFile(file).acquire())
  assert.ok(await staysPending(Promise.any(again)))
  await holder.kill()
  const locks = await eventually(Promise.all(again), 'all locks')
  for (const lock of locks) lock.release()
})
