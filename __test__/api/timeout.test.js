'use strict'

// Timeouts. A rejected wait leaves no trace.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPath, temporaryPaths } = require('../support/folders.js')
const { kernelLocks } = require('../support/kernel.js')
const { holderOf, holderOfAll, script } = require('../support/processes.js')
const { onLinux } = require('../support/systems.js')
const { eventually, PATIENCE, staysPending } = require('../support/waiting.js')

const IN_VAIN = { code: 'ERR_LOCK_TIMEOUT' }

test('a wait ends at its timeout, and not before', async (t) => {
  const file = temporaryPath(t)
  await holderOf(t, file)
  for (const timeout of [1, 20, 150]) {
    for (const wait of [
      () => lockFile(file).acquire(timeout),
      async () => lockFile(file).acquireSync(timeout),
      () => lockFile(file, { timeout }).run(() => assert.fail('the task ran')),
    ]) {
      const begin = performance.now()
      await assert.rejects(eventually(wait(), 'the end of the wait'), { ...IN_VAIN, timeout })
      assert.ok(performance.now() - begin >= timeout - 0.5)
    }
  }
})

test('the lock is acquired if it is released before the timeout', async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const wait = lockFile(file).acquire({ timeout: PATIENCE })
  assert.ok(await staysPending(wait))
  holder.say('release')
  const lock = await eventually(wait, 'the lock')
  assert.equal(lock.held, true)
  lock.release()
})

test('a timeout as long as one likes is a wait', async (t) => {
  const file = temporaryPath(t)
  const holder = lockFile(file)
  t.after(() => holder[Symbol.dispose]())
  const timeouts = [Infinity, Number.MAX_VALUE, 1e300, Number.MAX_SAFE_INTEGER, 2 ** 64, 2 ** 32, 2 ** 31, 2 ** 31 - 1]
  for (const timeout of timeouts) {
    const lock = lockFile(file)
    lock.acquireSync({ timeout }).release()
    holder.acquireSync()
    const waits = [lock.acquire({ timeout }), lockFile(file, { timeout }).run(() => {})]
    assert.ok(await staysPending(Promise.race(waits)), `timeout ${timeout}`)
    holder.release()
    await eventually(waits[0], `timeout ${timeout}: the lock`)
    lock.release()
    await eventually(waits[1], `timeout ${timeout}: the run`)
  }
})

test('a timeout of a fraction of a millisecond is a wait that ends', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  for (const timeout of [0.5, Number.MIN_VALUE, 0, -0]) {
    const lock = lockFile(file, { timeout })
    await assert.rejects(eventually(lock.acquire(), `timeout ${timeout}`), { ...IN_VAIN, timeout })
    assert.throws(() => lock.acquireSync(), { ...IN_VAIN, timeout })
  }
  holder.release()
})

// Were the deadline looked at before the lock, a timeout of 1 would do worse than one of 0 on a busy machine.
test('a free lock is acquired however short the timeout is', async (t) => {
  const lock = lockFile(temporaryPath(t))
  for (const timeout of [0, 0.5, Number.MIN_VALUE]) {
    for (let round = 0; round < 200; round++) {
      await lock.acquire({ timeout })
      lock.release()
      lock.acquireSync({ timeout }).release()
    }
  }
})

test('a wait that has been rejected is out of the kernel, and holds nothing', onLinux, async (t) => {
  const file = temporaryPath(t)
  // Another process takes and leaves the lock all the time, so that grants and deadlines meet.
  const source = `
    const lock = lockFile(process.argv[1])
    const hold = () => { const end = performance.now() + Math.random() * 2; while (performance.now() < end); }
    console.log('busy')
    process.stdin.on('data', () => process.exit(0))
    const loop = async () => { for (;;) { await lock.run(hold); await new Promise(setImmediate) } }
    loop()`
  assert.equal(await script(t, source, [file]).line(), 'busy')
  const lock = lockFile(file)
  let granted = 0
  let rejected = 0
  // And on until both have been seen: which of the two comes first is for the machine to say.
  for (let i = 0; i < 1000 || granted === 0 || rejected === 0; i++) {
    const signal = AbortSignal.timeout(Math.floor(Math.random() * 3))
    try {
      await lock.acquire(i % 2 === 0 ? { timeout: Math.random() * 2 } : { signal })
      granted++
      lock.release()
    } catch (error) {
      assert.match(error.code, /^(ERR_LOCK_TIMEOUT|ABORT_ERR)$/)
      rejected++
    }
    assert.deepEqual(kernelLocks(file), [], `after round ${i}`)
  }
})

async function allEnd(waits) {
  const outcomes = await eventually(Promise.allSettled(waits), 'all rejections')
  assert.ok(outcomes.every(({ reason }) => reason?.code === 'ERR_LOCK_TIMEOUT'))
}

test('a thousand waits that end at the same time all end', async (t) => {
  const file = temporaryPath(t)
  await holderOf(t, file)
  await allEnd(Array.from({ length: 1000 }, () => lockFile(file).acquire({ timeout: 30 })))
})

test('300 waits for 300 locked files all end at their timeout', async (t) => {
  const files = temporaryPaths(t, ...Array.from({ length: 300 }, (_, i) => `lock-${i}`))
  const holder = await holderOfAll(t, files)
  await allEnd(files.map((file) => lockFile(file).acquire({ timeout: 100 })))

  // More than may block in the kernel at once; the others try at intervals, and get in all the same.
  const again = files.map((file) => lockFile(file).acquire())
  assert.ok(await staysPending(Promise.any(again)))
  await holder.kill()
  for (const lock of await eventually(Promise.all(again), 'all locks')) lock.release()
})
