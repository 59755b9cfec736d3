'use strict'

// What the system refuses, and what must not pile up.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('..')
const { fixture, isFree, temporaryPath, until } = require('./support.js')

const count = (folder) => fs.readdirSync(folder).length

const REFUSALS = [
  'ERR_LOCK_TIMEOUT',
  'ABORT_ERR',
  'ABORT_ERR',
  'ENOTDIR',
  'EISDIR',
  'ENOENT',
  'ERR_OUT_OF_RANGE',
  'ERR_INVALID_ARG_VALUE',
]

const fail = () => {
  throw new TypeError('of the task')
}

test('an acquire that failed leaves nothing: the next one works by the same handle', async (t) => {
  const file = path.join(path.dirname(temporaryPath(t)), 'folder', 'test.lock')
  const lock = lockFile(file)
  await assert.rejects(lock.acquire(), { code: 'ENOENT' })
  assert.equal(lock.held, false)
  fs.mkdirSync(path.dirname(file))
  await lock.acquire()
  lock.release()
})

test('a task of run that throws synchronously rejects, and releases the lock', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  const error = new Error('of the task')
  await assert.rejects(
    lock.run(() => {
      throw error
    }),
    (thrown) => thrown === error,
  )
  assert.equal(lock.held, false)
  assert.equal(await isFree(file), true)
})

test('10,000 rounds of everything leave no descriptor, no thread and little memory behind', async (t) => {
  if (process.platform !== 'linux') return t.skip('only Linux has /proc/self')
  const file = temporaryPath(t)
  const folder = path.dirname(file)
  const dangling = path.join(folder, 'dangling')
  fs.symlinkSync(path.join(folder, 'nowhere'), dangling)
  const lock = lockFile(file)
  const codeOf = ({ reason }) => reason?.code
  const round = async () => {
    await lock.acquire()
    const controller = new AbortController()
    const refused = Promise.allSettled([
      lockFile(file).acquire({ timeout: 0 }),
      lockFile(file).acquire({ signal: AbortSignal.abort() }),
      lockFile(file).acquire({ signal: controller.signal }),
      lockFile(path.join(file, 'below')).acquire(),
      lockFile(folder).acquire(),
      lockFile(dangling).acquire(),
      lockFile(file).acquire({ timeout: Number.NaN }),
      lockFile(file).acquire({ mode: 'both' }),
    ])
    await lockFile(file).isLocked()
    controller.abort()
    assert.deepEqual((await refused).map(codeOf), REFUSALS)
    const waits = [lockFile(file).run(() => {}), lockFile(file).acquire({ timeout: 1 })]
    lock.release()
    const outcomes = await Promise.allSettled(waits)
    if (outcomes[1].status === 'fulfilled') outcomes[1].value.release()
    lock.acquireSync()
    lock.release()
    await assert.rejects(lock.run(fail), TypeError)
    assert.equal(lock.held, false)
  }
  // Threads are there after the first rounds; the heaps take some thousands to find their size.
  for (let i = 0; i < 5000; i++) await round()
  global.gc?.()
  const before = { fds: count('/proc/self/fd'), threads: count('/proc/self/task'), rss: process.memoryUsage.rss() }
  for (let i = 0; i < 10_000; i++) await round()
  global.gc?.()
  await until(() => count('/proc/self/fd') <= before.fds, 'as many descriptors as before')
  // Where the machine is busy there may be more for a while, of which each ends when it has nothing to do.
  await until(() => count('/proc/self/task') <= before.threads + 2, 'as many threads as before')
  const growth = process.memoryUsage.rss() - before.rss
  assert.ok(growth < 40e6, `memory has grown by ${growth} bytes`)
  assert.equal(await isFree(file), true)
})

test('worker threads that are terminated leave nothing of their deadlines behind', async (t) => {
  const child = fixture(t, 'workers-with-deadlines.js', [temporaryPath(t)], { execArgv: ['--expose-gc'] })
  const growth = Number((await child.rest()).at(-1))
  assert.ok(growth < 8e6, `memory has grown by ${growth} bytes`)
})

test('a handle that is garbage leaves nothing behind', async (t) => {
  const child = fixture(t, 'many-handles.js', [temporaryPath(t)], { execArgv: ['--expose-gc'] })
  const growth = Number((await child.rest()).at(-1))
  assert.ok(growth < 8e6, `memory has grown by ${growth} bytes`)
})
