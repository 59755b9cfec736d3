'use strict'

// query(): what this process holds and waits for, over all its threads.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')
const { threadId } = require('node:worker_threads')

const { lockFile, query } = require('..')
const { agent, allInLine, errorOf, temporaryFolder, temporaryPath, Thread } = require('./support.js')

/** What query() says of the files in one folder: other tests of this file may have left others. */
function queryIn(folder) {
  const { held, pending } = query()
  const own = (infos) =>
    infos
      .filter(({ path: file }) => path.dirname(file) === folder)
      .map(({ path: file, mode }) => [path.basename(file), mode])
  return { held: own(held), pending: own(pending) }
}

test('nothing is held and nothing pending at first', () => {
  assert.deepEqual(query(), { held: [], pending: [] })
})

test('held locks and pending waits are told by path and mode, the waits in the order of the queue', async (t) => {
  const folder = temporaryFolder(t)
  const [a, b] = ['a', 'b'].map((name) => path.join(folder, name))
  const first = await lockFile(a).acquire()
  const second = await lockFile(b).acquire({ mode: 'shared' })
  const third = await lockFile(b).acquire({ mode: 'shared' })
  const waits = [
    lockFile(a).acquire({ mode: 'shared' }),
    lockFile(b).acquire(),
    lockFile(a).acquire(),
    lockFile(a, { mode: 'shared' }).acquire(),
  ]
  const expected = {
    held: [
      ['a', 'exclusive'],
      ['b', 'shared'],
      ['b', 'shared'],
    ],
    pending: [
      ['a', 'shared'],
      ['b', 'exclusive'],
      ['a', 'exclusive'],
      ['a', 'shared'],
    ],
  }
  // At once, before any of them can have come into line, and when all are.
  assert.deepEqual(queryIn(folder), expected)
  await allInLine(a)
  assert.deepEqual(queryIn(folder), expected)

  first.release()
  await waits[0]
  assert.deepEqual(queryIn(folder), {
    held: [
      ['b', 'shared'],
      ['b', 'shared'],
      ['a', 'shared'],
    ],
    pending: expected.pending.slice(1),
  })
  second.release()
  third.release()
  for (const wait of waits) (await wait).release()
  assert.deepEqual(queryIn(folder), { held: [], pending: [] })
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
  assert.equal(held.length, 1)
  isBetween(before, held[0].since, between)
  assert.equal(pending.length, 1)
  isBetween(between, pending[0].since, after)
  while (Date.now() <= after + 5) await new Promise(setImmediate)
  const released = Date.now()
  lock.release()
  await wait
  // Not since it was asked for: that is longer ago.
  isBetween(released, query().held[0].since, Date.now())
  lockFile(file).release()
})

test('waits that have timed out or were aborted, tries, and questions are not pending', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'file')
  const lock = await lockFile(file).acquire()
  const controller = new AbortController()
  const aborted = errorOf(() => lockFile(file).acquire({ signal: controller.signal }))
  // Long enough to be seen pending, however busy the machine is.
  const late = errorOf(() => lockFile(file).acquire({ timeout: 500 }))
  assert.equal(queryIn(folder).pending.length, 2)
  controller.abort()
  await Promise.all([aborted, late])
  assert.equal(await lockFile(file).tryAcquire(), false)
  assert.deepEqual(queryIn(folder), { held: [['file', 'exclusive']], pending: [] })
  const asked = lockFile(file).isLocked()
  assert.deepEqual(queryIn(folder).pending, [])
  assert.equal(await asked, true)
  lock.release()
})

test('the locks and waits of worker threads are told in every thread, until the thread ends', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'file')
  const [holder, waiter] = [new Thread(t, file), new Thread(t, file)]
  assert.equal(await holder.acquire(), 'acquired')
  assert.equal(await waiter.ask('acquire', { mode: 'shared' }), 'waiting')
  const expected = { held: [['file', 'exclusive']], pending: [['file', 'shared']] }
  assert.deepEqual(queryIn(folder), expected)
  const { held, pending } = await waiter.ask('query')
  assert.deepEqual([held.length, pending.length], [1, 1])
  await waiter.terminate()
  assert.deepEqual(queryIn(folder), { ...expected, pending: [] })
  await holder.terminate()
  assert.deepEqual(queryIn(folder), { held: [], pending: [] })
})

test('each lock and wait is told with the thread that it belongs to', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'file')
  const own = await lockFile(path.join(folder, 'own')).acquire()
  const threads = [new Thread(t, file), new Thread(t, file)]
  assert.equal(await threads[0].acquire(), 'acquired')
  assert.equal(await threads[1].ask('acquire'), 'waiting')
  const [holder, waiter] = threads.map(({ id }) => id)
  assert.ok(holder > 0 && waiter > 0 && holder !== waiter)
  const threadsIn = (infos) => infos.map(({ path: of, threadId }) => [path.basename(of), threadId])
  const { held, pending } = query()
  assert.deepEqual(threadsIn(held), [
    ['own', threadId],
    ['file', holder],
  ])
  assert.deepEqual(threadsIn(pending), [['file', waiter]])
  // Every thread is told the same.
  assert.deepEqual(
    (await threads[1].ask('query')).held.map((info) => info.threadId),
    [threadId, holder],
  )
  own.release()
})

test('a thread that waits synchronously is told of, too', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'file')
  const lock = await lockFile(file).acquire()
  const thread = new Thread(t, file)
  assert.equal(await thread.ask('acquireSync'), 'waiting')
  while (queryIn(folder).pending.length === 0) await new Promise(setImmediate)
  assert.deepEqual(queryIn(folder).pending, [['file', 'exclusive']])
  lock.release()
  assert.equal(await thread.answer(), 'acquired')
  assert.deepEqual(queryIn(folder), { held: [['file', 'exclusive']], pending: [] })
})

test('other processes are not told of', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'file')
  const other = agent(t, file)
  await other.ask('acquire')
  assert.equal(await other.line(), 'acquired')
  const wait = lockFile(file).acquire()
  assert.deepEqual(queryIn(folder), { held: [], pending: [['file', 'exclusive']] })
  await other.kill()
  const lock = await wait
  assert.deepEqual(queryIn(folder), { held: [['file', 'exclusive']], pending: [] })
  lock.release()
})
