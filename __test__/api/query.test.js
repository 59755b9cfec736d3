'use strict'

// query(): what this process holds and waits for, over all its threads.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')
const { threadId } = require('node:worker_threads')

const { lockFile, query } = require('../..')
const { temporaryPath, temporaryPaths } = require('../support/folders.js')
const { allQueued } = require('../support/locks.js')
const { holderOf } = require('../support/processes.js')
const { Thread } = require('../support/threads.js')
const { errorOf, until } = require('../support/waiting.js')

const NOTHING = { held: [], pending: [] }

/** What query() says of the files beside `file`, without times; `withThread`: with the thread. */
function queryBeside(file, { held, pending } = query(), withThread = false) {
  const own = (infos) =>
    infos
      .filter((info) => path.dirname(info.path) === path.dirname(file))
      .map((info) => [path.basename(info.path), info.mode, ...(withThread ? [info.threadId] : [])])
  return { held: own(held), pending: own(pending) }
}

test('nothing is held and nothing pending at first', () => assert.deepEqual(query(), NOTHING))

test('held locks and pending waits are told by path and mode, the waits in the order of the queue', async (t) => {
  const [a, b] = temporaryPaths(t, 'a', 'b')
  const shared = { mode: 'shared' }
  const first = await lockFile(a).acquire()
  const others = [await lockFile(b).acquire(shared), await lockFile(b).acquire(shared)]
  const waits = [
    lockFile(a).acquire(shared),
    lockFile(b).acquire(),
    lockFile(a).acquire(),
    lockFile(a, shared).acquire(),
  ]
  const [exclusiveA, sharedA, exclusiveB, sharedB] = ['a', 'b'].flatMap((name) => [
    [name, 'exclusive'],
    [name, 'shared'],
  ])
  const expected = {
    held: [exclusiveA, sharedB, sharedB],
    pending: [sharedA, exclusiveB, exclusiveA, sharedA],
  }
  // At once, before any of them can be in the queue, and when all are.
  assert.deepEqual(queryBeside(a), expected)
  await allQueued(a)
  assert.deepEqual(queryBeside(a), expected)

  first.release()
  await waits[0]
  assert.deepEqual(queryBeside(a), { held: [sharedB, sharedB, sharedA], pending: expected.pending.slice(1) })
  for (const lock of others) lock.release()
  for (const wait of waits) (await wait).release()
  assert.deepEqual(queryBeside(a), NOTHING)
})

test('each is told with the time since when it is so', async (t) => {
  const file = temporaryPath(t)
  const before = Date.now()
  const lock = await lockFile(file).acquire()
  const between = Date.now()
  const wait = lockFile(file).acquire()
  const after = Date.now()
  const { held, pending } = query()
  // It is the age by one clock, before now by another, each in whole milliseconds.
  const isBetween = (from, since, to) =>
    assert.ok(Number.isInteger(since) && from - 2 <= since && since <= to + 2, `${from} <= ${since} <= ${to}`)
  assert.deepEqual([held.length, pending.length], [1, 1])
  isBetween(before, held[0].since, between)
  isBetween(between, pending[0].since, after)
  while (Date.now() <= after + 5) await new Promise(setImmediate)
  const released = Date.now()
  lock.release()
  await wait
  // Not since it was asked for: that is longer ago.
  isBetween(released, query().held[0].since, Date.now())
  ;(await wait).release()
})

test('waits that have timed out or were aborted, tries, and questions are not pending', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const controller = new AbortController()
  const aborted = errorOf(() => lockFile(file).acquire({ signal: controller.signal }))
  // Long enough to be seen pending, however busy the machine is.
  const late = errorOf(() => lockFile(file).acquire({ timeout: 500 }))
  assert.equal(queryBeside(file).pending.length, 2)
  controller.abort()
  await Promise.all([aborted, late])
  assert.equal(await lockFile(file).tryAcquire(), false)
  assert.deepEqual(queryBeside(file), { held: [['test.lock', 'exclusive']], pending: [] })
  const asked = lockFile(file).isLocked()
  assert.deepEqual(queryBeside(file).pending, [])
  assert.equal(await asked, true)
  lock.release()
})

test('the locks and waits of all threads are told in every thread, with the thread of each, until that ends', async (t) => {
  const [file, own] = temporaryPaths(t, 'file', 'own')
  const lock = await lockFile(own).acquire()
  const [holder, waiter] = [new Thread(t, file), new Thread(t, file)]
  assert.equal(await holder.acquire(), 'acquired')
  assert.equal(await waiter.ask('acquire', { mode: 'shared' }), 'waiting')
  assert.ok(holder.id > 0 && waiter.id > 0 && holder.id !== waiter.id)
  const held = [
    ['own', 'exclusive', threadId],
    ['file', 'exclusive', holder.id],
  ]
  const pending = [['file', 'shared', waiter.id]]
  assert.deepEqual(queryBeside(file, query(), true), { held, pending })
  assert.deepEqual(queryBeside(file, await waiter.ask('query'), true), { held, pending })
  await waiter.terminate()
  assert.deepEqual(queryBeside(file, query(), true), { held, pending: [] })
  await holder.terminate()
  assert.deepEqual(queryBeside(file, query(), true), { held: held.slice(0, 1), pending: [] })
  lock.release()
})

test('a thread that waits synchronously is told of, too', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const thread = new Thread(t, file)
  assert.equal(await thread.ask('acquireSync'), 'waiting')
  await until(() => queryBeside(file).pending.length > 0, 'the wait')
  assert.deepEqual(queryBeside(file, query(), true).pending, [['test.lock', 'exclusive', thread.id]])
  lock.release()
  assert.equal(await thread.answer(), 'acquired')
  assert.deepEqual(queryBeside(file), { held: [['test.lock', 'exclusive']], pending: [] })
})

test('other processes are not told of', async (t) => {
  const file = temporaryPath(t)
  const other = await holderOf(t, file)
  const wait = lockFile(file).acquire()
  assert.deepEqual(queryBeside(file), { held: [], pending: [['test.lock', 'exclusive']] })
  await other.kill()
  const lock = await wait
  assert.deepEqual(queryBeside(file), { held: [['test.lock', 'exclusive']], pending: [] })
  lock.release()
})
