'use strict'

// Rules 4 and 5: who may release what; disposal, run, and what isLocked says.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFile } = require('..')
const { agent, eventually, isFree, staysPending, temporaryPath, Thread } = require('./support.js')

test('a release by any handle of the file unlocks what is held exclusively', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  lockFile(file).release()
  assert.equal(holder.held, false)
  assert.equal(await isFree(file), true)
  assert.throws(() => holder.release(), { code: 'ERR_LOCK_NOT_HELD' })
})

test('a release by another handle leaves a shared lock alone', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire({ mode: 'shared' })
  const other = lockFile(file)
  assert.throws(() => other.release(), { code: 'ERR_LOCK_NOT_HELD' })
  await other.acquire({ mode: 'shared' })
  other.release()
  assert.throws(() => other.release(), { code: 'ERR_LOCK_NOT_HELD' })
  assert.equal(holder.held, true)
  assert.equal(await isFree(file), false)
  holder.release()
  assert.equal(await isFree(file), true)
})

/** `lock` has nothing to release. */
const releasesNothing = (lock) => assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })

test('a second release throws, and leaves the lock to the next in line', async (t) => {
  const file = temporaryPath(t)
  for (const mode of ['exclusive', 'shared']) {
    const first = await lockFile(file).acquire()
    const next = lockFile(file)
    const wait = next.acquire({ mode })
    first.release()
    // Also before the next one has heard that it holds the lock.
    releasesNothing(first)
    await eventually(wait, 'the next in line')
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
    acquire: (lock) => assert.rejects(lock.acquire(0), { code: 'ERR_LOCK_TIMEOUT' }),
    'acquire, with time': (lock) => assert.rejects(lock.acquire(5), { code: 'ERR_LOCK_TIMEOUT' }),
    acquireSync: (lock) => assert.throws(() => lock.acquireSync(0), { code: 'ERR_LOCK_TIMEOUT' }),
    tryAcquire: async (lock) => assert.equal(await lock.tryAcquire(), false),
    tryAcquireSync: (lock) => assert.equal(lock.tryAcquireSync(), false),
    run: (lock) =>
      assert.rejects(
        lock.run(() => assert.fail('the task ran'), 0),
        { code: 'ERR_LOCK_TIMEOUT' },
      ),
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
  holder.release()
  await eventually(wait, 'the lock')
  lock.release()
})

test('a handle that has only asked questions may release what another thread holds', async (t) => {
  const file = temporaryPath(t)
  const thread = new Thread(t, file)
  assert.equal(await thread.acquire(), 'acquired')
  const lock = lockFile(file)
  assert.equal(lock.held, false)
  assert.equal(await lock.isLocked(), true)
  await lock.holders()
  lock.release()
  assert.equal(await thread.ask('held'), false)
  assert.equal(await isFree(file), true)
  // In the thread it is the second release of its handle.
  const holder = await lockFile(file).acquire()
  assert.equal(await thread.ask('release'), 'ERR_LOCK_NOT_HELD')
  assert.equal(holder.held, true)
  holder.release()
})

test('a handle that was just made answers all questions, and holds nothing', async (t) => {
  const file = temporaryPath(t)
  const fresh = () => lockFile(file)
  assert.equal(fresh().held, false)
  assert.equal(fresh().lost.aborted, false)
  assert.equal(await fresh().isLocked(), false)
  assert.deepEqual((await fresh().holders()) ?? [], [])
  fresh()[Symbol.dispose]()
  await fresh()[Symbol.asyncDispose]()
  releasesNothing(fresh())
})

test('the native part of a handle is made when it is first needed, and only once', async (t) => {
  // It goes with the garbage collector's help only in the event loop: many handles in synchronous code would pile up.
  const native = require('../lib/native.js')
  const { createHandle } = native
  let made = 0
  native.createHandle = (...args) => {
    made++
    return createHandle(...args)
  }
  t.after(() => {
    native.createHandle = createHandle
  })
  const file = temporaryPath(t)
  const lock = lockFile(file)
  const read = [lock.path, lock.held, lock.lost.aborted]
  lock[Symbol.dispose]()
  await lock[Symbol.asyncDispose]()
  assert.deepEqual([made, ...read], [0, file, false, false])
  await lock.acquire()
  lock.release()
  await lock.run(() => {})
  await lock.isLocked()
  assert.equal(made, 1)
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

test('what has not come yet cannot be released, however soon it comes', async (t) => {
  const lock = lockFile(temporaryPath(t))
  for (let round = 0; round < 3; round++) {
    const wait = lock.acquire()
    assert.equal(lock.held, false)
    assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
    await wait
    assert.equal(lock.held, true)
    lock.release()
  }
})

test("disposal releases what this handle holds, and nobody else's", async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  lock[Symbol.dispose]()
  await lock[Symbol.asyncDispose]()

  await lock.acquire()
  lock[Symbol.dispose]()
  assert.equal(lock.held, false)

  const other = await lockFile(file).acquire()
  lock[Symbol.dispose]()
  await lock[Symbol.asyncDispose]()
  assert.equal(other.held, true)
  assert.equal(await isFree(file), false)
  await other[Symbol.asyncDispose]()
  assert.equal(await isFree(file), true)
})

test('run holds the lock until what the task returns has settled', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  let finish
  const task = new Promise((resolve) => {
    finish = resolve
  })
  let call
  const called = new Promise((resolve) => {
    call = resolve
  })
  const run = lock.run((it) => {
    call(it)
    return task
  })
  assert.equal(await eventually(called, 'the task'), lock)
  assert.ok(await staysPending(run))
  assert.equal(await isFree(file), false)
  finish('result')
  assert.equal(await run, 'result')
  assert.equal(await isFree(file), true)
})

test('run releases when the promise of the task is rejected, and passes the reason on', async (t) => {
  const file = temporaryPath(t)
  const reason = new Error('of the task')
  await assert.rejects(
    lockFile(file).run(async () => {
      throw reason
    }),
    (error) => error === reason,
  )
  assert.equal(await isFree(file), true)
})

test('the end of run releases only the acquisition that it made', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  let finish
  const run = lock.run((it) => {
    it.release()
    return new Promise((resolve) => {
      finish = resolve
    })
  })
  await eventually(
    lock.run(() => {}),
    'the early release',
  )
  await lock.acquire()
  finish()
  await run
  assert.equal(lock.held, true)
  lock.release()
})

test('run does not call the task when the lock is not to be had', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const refused = lockFile(file, { timeout: 0 }).run(() => assert.fail('called'))
  await assert.rejects(refused, { code: 'ERR_LOCK_TIMEOUT' })
  assert.equal(holder.held, true)
  holder.release()
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

test('isLocked answers while others wait, and keeps no try of this process out', async (t) => {
  const file = temporaryPath(t)
  const other = agent(t, file)
  assert.equal(await other.ask('try'), 'true')
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
