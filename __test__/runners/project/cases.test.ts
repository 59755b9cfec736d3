// What a test can meet. The names of tests that have to fail begin with "fails".

import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { LockManager, lockFile, lockFiles, query, semaphore } from '@locket/native'
import { loadAgain, test, timers } from './runner.js'

const file = (name) => path.join(process.env.LOCKS, `${name}.lock`)

/** Ends a test that has to fail, and notes that it has come so far. */
function fail() {
  fs.appendFileSync(path.join(process.env.LOCKS, 'failures'), '.')
  throw new Error('as it has to')
}

// Of each pair, the first test leaves something held, and the second one finds it free.

const WAYS = {
  'an exclusive lock': (lock) => lock.acquire(),
  'a shared lock': (lock) => lock.acquire({ mode: 'shared' }),
  'a lock by a synchronous acquire': (lock) => lock.acquireSync({ mode: 'shared' }),
  'a lock by a try': (lock) => lock.tryAcquire({ mode: 'shared' }),
  'a lock by a synchronous try': (lock) => lock.tryAcquireSync({ mode: 'shared' }),
}

for (const [what, acquire] of Object.entries(WAYS)) {
  const name = file(what)

  test(`fails while it holds ${what}`, async () => {
    const lock = lockFile(name)
    await acquire(lock)
    assert.equal(lock.held, true)
    fail()
    lock.release()
  })

  test(`${what} is free after the failure`, async () => {
    const lock = await lockFile(name).acquire(0)
    lock.release()
  })
}

test('fails while it holds several files, a permit and a named lock', async () => {
  await lockFiles([file('inbox'), file('archive')]).acquire()
  await semaphore(file('slots'), 1).acquire()
  await new Promise((resolve) => {
    new LockManager(path.join(process.env.LOCKS, 'names')).request('a', () => new Promise(() => resolve(undefined)))
  })
  fail()
})

test('several files, a permit and a named lock are free after the failure', async () => {
  const locks = await lockFiles([file('archive'), file('inbox')]).acquire(0)
  locks.release()
  const permit = await semaphore(file('slots'), 1).acquire(0)
  permit.release()
  await new LockManager(path.join(process.env.LOCKS, 'names')).request('a', { ifAvailable: true }, (lock) =>
    assert.notEqual(lock, null),
  )
})

test('fails while it holds a lock that it waits for, too', async () => {
  const name = file('queue')
  await lockFile(name).acquire({ mode: 'shared' })
  lockFile(name).acquire()
  lockFile(name).acquire({ mode: 'shared' })
  fail()
})

test('a lock that was waited for is free after the failure', async () => {
  const lock = await lockFile(file('queue')).acquire(0)
  lock.release()
})

test('fails while timers are fake', async () => {
  timers.fake()
  await lockFile(file('fake')).acquire()
  lockFile(file('fake')).acquire()
  fail()
})

test('a lock that was acquired with fake timers is free after the failure', async () => {
  timers.restore()
  const lock = await lockFile(file('fake')).acquire(0)
  lock.release()
})

test('fails when its time is over, while it waits', async ({ signal }) => {
  await using held = await lockFile(file('vain')).acquire()
  const timeout = signal === undefined ? 100 : undefined
  await lockFile(held.path).acquire({ timeout, signal })
}, 500)

test('nothing waits after the failure', () => {
  assert.equal(query().pending.length, 0)
})

test('using releases the lock of a block that fails', async () => {
  const name = file('using')
  const held = []
  const fail = async () => {
    using lock = await lockFile(name).acquire()
    held.push(lock.held)
    throw new Error('in the block')
  }
  const failToo = async () => {
    await using lock = await lockFile(name).acquire({ mode: 'shared', timeout: 0 })
    held.push(lock.held)
    throw new Error('in the block')
  }
  await assert.rejects(fail, { message: 'in the block' })
  await assert.rejects(failToo, { message: 'in the block' })
  assert.deepEqual(held, [true, true])
  assert.equal(await lockFile(name).tryAcquire(), true)
})

test('run releases the lock of a task that fails', async () => {
  const name = file('run')
  const fail = () => lockFile(name).run(() => Promise.reject(new Error('in the task')))
  await assert.rejects(fail, { message: 'in the task' })
  assert.equal(await lockFile(name).tryAcquire(), true)
})

test('with fake timers, whose clock stands still, a timeout ends by the real one', async () => {
  const held = await lockFile(file('timeout')).acquire()
  timers.fake()
  try {
    await assert.rejects(lockFile(held.path).acquire(50), { code: 'ERR_LOCK_TIMEOUT', timeout: 50 })
  } finally {
    timers.restore()
  }
})

test('with fake timers, a wait is granted when the lock is released', async () => {
  const held = await lockFile(file('granted')).acquire()
  timers.fake()
  try {
    const wait = lockFile(held.path).acquire()
    held.release()
    assert.equal((await wait).held, true)
    await lockFile(file('ran')).run(() => {})
  } finally {
    timers.restore()
  }
})

test('a timer that is faked can abort a wait', async () => {
  const held = await lockFile(file('abort')).acquire()
  timers.fake()
  try {
    const controller = new AbortController()
    const wait = lockFile(held.path).acquire({ signal: controller.signal })
    setTimeout(() => controller.abort(), 60_000)
    timers.advance(60_000)
    await assert.rejects(wait, { code: 'ABORT_ERR' })
  } finally {
    timers.restore()
  }
})

test('a lock of the package goes to the wait of another load of it', async () => {
  const again = await loadAgain()
  assert.equal(again.lockFile !== lockFile, process.env.LOADS_AGAIN === 'true')
  const held = await lockFile(file('loaded')).acquire()
  const wait = again.lockFile(held.path).acquire()
  await assert.rejects(again.lockFile(held.path).acquire(0), { code: 'ERR_LOCK_TIMEOUT' })
  held.release()
  const lock = await wait
  assert.equal(await lockFile(held.path).tryAcquire(), false)
  lock.release()
})
