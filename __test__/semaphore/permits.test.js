'use strict'

// Permits: how many there are, who gets them next, and how they are given back.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')
const { setImmediate: nextTurn } = require('node:timers/promises')

const { LockTimeoutError, query, semaphore } = require('../..')
const { ROOT, temporaryPath } = require('../support/folders.js')
const { freePermits, permitHolder, permitWaiter, takeAll } = require('../support/permits.js')
const { script } = require('../support/processes.js')
const { LINUX, onLinux } = require('../support/systems.js')
const { errorNamingHolders, errorOf, eventually, staysPending } = require('../support/waiting.js')

for (const permits of [1, 2, 5, 1024]) {
  test(`${permits} permits are had at once, and one more waits until one is released`, async (t) => {
    const file = temporaryPath(t)
    const it = semaphore(file, permits)
    const held = await eventually(Promise.all(Array.from({ length: permits }, () => it.acquire())), 'the permits')
    for (const permit of held) assert.equal(permit.held, true)
    assert.equal(new Set(held).size, permits)
    const next = it.acquire()
    assert.ok(await staysPending(next, 100))
    const last = held.at(-1)
    last.release()
    assert.equal(last.held, false)
    held[held.length - 1] = await eventually(next, 'the permit that was released')
    for (const permit of held) permit.release()
    assert.equal(await freePermits(t, file, permits), permits)
  })
}

test('requests of a process are served in their order, whichever of its semaphores they were made by', async (t) => {
  const file = temporaryPath(t)
  const held = await takeAll(t, file, 3)
  const order = []
  const waits = Array.from({ length: 40 }, async (_, number) => {
    const permit = await semaphore(file, 3).acquire()
    order.push(number)
    await nextTurn()
    permit.release()
  })
  assert.ok(await staysPending(Promise.race(waits)))
  assert.deepEqual(order, [])
  for (const permit of held) permit.release()
  await eventually(Promise.all(waits), 'the permits')
  assert.deepEqual(
    order,
    Array.from({ length: 40 }, (_, number) => number),
  )
})

test('a request that is given up lets those behind it move up', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 1)
  const held = await it.acquire()
  const controller = new AbortController()
  const first = errorOf(() => it.acquire({ signal: controller.signal }))
  const second = errorOf(() => it.acquire({ timeout: 1 }))
  const third = it.acquire()
  assert.equal((await second).code, 'ERR_LOCK_TIMEOUT')
  controller.abort()
  assert.equal((await first).code, 'ABORT_ERR')
  assert.ok(await staysPending(third))
  held.release()
  ;(await eventually(third, 'the permit')).release()
})

test('tryAcquire resolves to a permit if one is free, and to undefined if all are held', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 2, { timeout: 100_000 })
  const [first, second] = [await it.tryAcquire(), await it.tryAcquire()]
  assert.deepEqual([first.held, second.held], [true, true])
  assert.equal(await eventually(it.tryAcquire(), 'the answer'), undefined)
  first.release()
  const third = await it.tryAcquire()
  assert.equal(third.held, true)
  second.release()
  third.release()
})

test('tryAcquire fails while others wait, in this process or another, and takes nothing from them', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 2)
  const [first] = await takeAll(t, file, 2)
  const mine = it.acquire()
  assert.ok(await staysPending(mine))
  const { waiter, acquired } = await permitWaiter(t, file, 2)
  assert.equal(await eventually(it.tryAcquire(), 'the answer'), undefined)
  first.release()
  const permit = await eventually(mine, 'the permit of the first who waits')
  assert.equal(await eventually(it.tryAcquire(), 'the answer'), undefined)
  assert.ok(await staysPending(acquired))
  permit.release()
  assert.equal(await acquired, 'acquired')
  assert.equal(await waiter.ask('release'), 'released')
})

test('timeout 0 tries once, and a free permit is acquired however short the timeout is', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 2)
  for (let i = 0; i < 100; i++) {
    const permits = [await it.acquire(0), await it.acquire(Number.MIN_VALUE)]
    await assert.rejects(it.acquire(0), { code: 'ERR_LOCK_TIMEOUT', timeout: 0 })
    for (const permit of permits) permit.release()
  }
})

test('a permit is released once: again is an error, although others hold permits by then', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 1)
  const permit = await it.acquire()
  permit.release()
  const next = await it.acquire()
  assert.throws(() => permit.release(), { name: 'LockError', code: 'ERR_LOCK_NOT_HELD', path: file })
  permit[Symbol.dispose]()
  assert.equal(next.held, true)
  assert.equal(await freePermits(t, file, 1), 0)
  next.release()
})

test('disposal releases a permit that is held, and does nothing otherwise', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 2)
  const [first, second] = [await it.acquire(), await it.acquire()]
  first[Symbol.dispose]()
  await second[Symbol.asyncDispose]()
  assert.deepEqual([first.held, second.held], [false, false])
  assert.equal(await freePermits(t, file, 2), 2)
  first[Symbol.dispose]()
  await second[Symbol.asyncDispose]()
})

test('a permit that is dropped stays held', { skip: !globalThis.gc && 'takes --expose-gc' }, async (t) => {
  const file = temporaryPath(t)
  await semaphore(file, 2).acquire()
  for (let i = 0; i < 5; i++) {
    globalThis.gc()
    await nextTurn()
  }
  assert.equal(await freePermits(t, file, 2), 1)
})

test('run holds a permit until what the task returns has settled, and resolves to it', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 1)
  let finish
  let own
  const run = it.run((permit) => {
    own = permit
    return new Promise((resolve) => {
      finish = resolve
    })
  }, 5000)
  assert.ok(await staysPending(run, 50))
  assert.equal(own.held, true)
  assert.equal(await it.tryAcquire(), undefined)
  finish('result')
  assert.equal(await run, 'result')
  assert.equal(own.held, false)
  assert.equal(await freePermits(t, file, 1), 1)
})

test('run releases when the task fails, synchronously too, and passes the error on as it is', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 2)
  const reason = new Error('of the task')
  const raise = () => {
    throw reason
  }
  for (const task of [raise, async () => raise()]) assert.equal(await errorOf(() => it.run(task)), reason)
  assert.equal(await freePermits(t, file, 2), 2)
})

test('a task may release its permit itself, and take another one', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 2)
  const other = await it.run(async (permit) => {
    permit.release()
    return it.acquire()
  })
  assert.equal(other.held, true)
  other.release()
})

test('run does not call the task when it does not get a permit', async (t) => {
  const file = temporaryPath(t)
  const permit = await semaphore(file, 1).acquire()
  const refused = semaphore(file, 1, { timeout: 0 }).run(() => assert.fail('called'))
  await assert.rejects(refused, { code: 'ERR_LOCK_TIMEOUT' })
  permit.release()
})

test('holders names whoever holds permits, once for each permit, and nobody where nothing is', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 4)
  const pids = async () => (await it.holders())?.map(({ pid }) => pid).sort()
  assert.deepEqual(await pids(), LINUX ? [] : undefined)
  assert.equal(fs.existsSync(file), false)
  const holder = await permitHolder(t, file, 4, 2)
  const mine = await it.acquire()
  assert.deepEqual(await pids(), LINUX ? [process.pid, holder.pid, holder.pid].sort() : undefined)
  mine.release()
  await holder.kill()
  assert.deepEqual(await pids(), LINUX ? [] : undefined)
})

test('those who wait are no holders', onLinux, async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 1)
  await permitWaiter(t, file, 1)
  await permitWaiter(t, file, 1)
  assert.deepEqual(
    (await semaphore(file, 1).holders()).map(({ pid, mode }) => [pid, mode]),
    [[holder.pid, 'exclusive']],
  )
})

test('the error of a timeout names the holders, and has them', onLinux, async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 2, 2)
  const error = await errorNamingHolders(() => semaphore(file, 2).acquire(50))
  assert.ok(error instanceof LockTimeoutError)
  assert.deepEqual({ path: error.path, timeout: error.timeout }, { path: file, timeout: 50 })
  assert.deepEqual(
    error.holders.map(({ pid }) => pid),
    [holder.pid, holder.pid],
  )
  // Each process once.
  assert.match(error.message, new RegExp(`^Couldn't lock ${file} within 50 ms: held by ${holder.pid} \\([^,]*\\)$`))
  const behind = await permitWaiter(t, file, 2)
  assert.ok(behind)
  const another = await errorNamingHolders(() => semaphore(file, 2).acquire(0))
  assert.ok(another.message.startsWith(`Couldn't lock ${file}: held by ${holder.pid} (`), another.message)
})

test('the error of a timeout comes although timers are replaced before the first semaphore', async (t) => {
  const source = `
    const { semaphore } = require(${JSON.stringify(ROOT)})
    globalThis.setTimeout = () => { throw new Error('replaced') }
    const it = semaphore(process.argv[1], 1)
    it.acquire().then(() => it.acquire(50)).catch(({ code, message }) => console.log(code ?? message))`
  assert.deepEqual(await script(t, source, [temporaryPath(t)]).rest(), ['ERR_LOCK_TIMEOUT'])
})

test('query() tells of permits that are held, by their slots, and of requests that wait, once each', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 1)
  const permit = await it.acquire()
  const wait = it.acquire()
  assert.ok(await staysPending(wait))
  const of = (list) => list.filter(({ path }) => path === file).map(({ mode, threadId }) => [mode, threadId])
  const slot = query().held.filter(({ path }) => path === `${file}.1`)
  assert.deepEqual(of(query().held), [])
  assert.equal(slot.length, 1)
  assert.deepEqual(of(query().pending), [['exclusive', 0]])
  permit.release()
  ;(await wait).release()
})

test('a task that takes a second permit of its own semaphore gets it, without a warning', async (t) => {
  const file = temporaryPath(t)
  const warnings = []
  const warned = (warning) => warnings.push(warning)
  process.on('warning', warned)
  t.after(() => process.off('warning', warned))
  const it = semaphore(file, 2)
  const holder = await it.acquire()
  await it.run(async () => {
    const second = it.acquire()
    // As long as it takes until a nested run() is warned of.
    assert.ok(await staysPending(second, 1200))
    holder.release()
    ;(await second).release()
  })
  await nextTurn()
  assert.deepEqual(warnings, [])
})
