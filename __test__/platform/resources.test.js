'use strict'

// What must not pile up: descriptors, threads, memory.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { script } = require('../support/processes.js')
const { onLinux } = require('../support/systems.js')
const { until } = require('../support/waiting.js')

const count = (folder) => fs.readdirSync(folder).length

test('an acquire that failed leaves nothing: the next one works by the same handle', async (t) => {
  const file = path.join(temporaryFolder(t), 'folder', 'test.lock')
  const lock = lockFile(file)
  await assert.rejects(lock.acquire(), { code: 'ENOENT' })
  assert.equal(lock.held, false)
  fs.mkdirSync(path.dirname(file))
  await lock.acquire()
  lock.release()
})

test('thousands of rounds of everything leave next to nothing behind', onLinux, async (t) => {
  const ROUNDS = 4000
  const file = temporaryPath(t)
  const folder = path.dirname(file)
  const dangling = path.join(folder, 'dangling')
  fs.symlinkSync(path.join(folder, 'nowhere'), dangling)
  const lock = lockFile(file)
  const fail = () => {
    throw new TypeError('of the task')
  }
  async function round() {
    await lock.acquire()
    const controller = new AbortController()
    const refusals = {
      ERR_LOCK_TIMEOUT: lockFile(file).acquire({ timeout: 0 }),
      ABORT_ERR: lockFile(file).acquire({ signal: controller.signal }),
      ENOTDIR: lockFile(path.join(file, 'below')).acquire(),
      EISDIR: lockFile(folder).acquire(),
      ENOENT: lockFile(dangling).acquire(),
      ERR_OUT_OF_RANGE: lockFile(file).acquire({ timeout: Number.NaN }),
      ERR_INVALID_ARG_VALUE: lockFile(file).acquire({ mode: 'both' }),
    }
    const outcomes = Promise.allSettled(Object.values(refusals))
    await assert.rejects(lockFile(file).acquire({ signal: AbortSignal.abort() }), { code: 'ABORT_ERR' })
    await lockFile(file).isLocked()
    controller.abort()
    assert.deepEqual(
      (await outcomes).map(({ reason }) => reason?.code),
      Object.keys(refusals),
    )
    const waits = [lockFile(file).run(() => {}), lockFile(file).acquire({ timeout: 1 })]
    lock.release()
    const [, late] = await Promise.allSettled(waits)
    if (late.status === 'fulfilled') late.value.release()
    lock.acquireSync().release()
    await assert.rejects(lock.run(fail), TypeError)
    assert.equal(lock.held, false)
  }
  // Threads are there after the first rounds; the heaps take some thousands to find their size.
  for (let i = 0; i < ROUNDS; i++) await round()
  global.gc?.()
  const before = { fds: count('/proc/self/fd'), threads: count('/proc/self/task'), rss: process.memoryUsage.rss() }
  for (let i = 0; i < ROUNDS; i++) await round()
  global.gc?.()
  await until(() => count('/proc/self/fd') <= before.fds, 'as many descriptors as before')
  // Where the machine is busy there may be more for a while, of which each ends when it has nothing to do.
  await until(() => count('/proc/self/task') <= before.threads + 2, 'as many threads as before')
  const growth = process.memoryUsage.rss() - before.rss
  assert.ok(growth < ROUNDS * 4000, `memory has grown by ${growth} bytes`)
  assert.equal(await isFree(file), true)
})

/** By how many bytes a process with `gc` grows in which `source` gives `before` and `after`. */
async function growthOf(t, source) {
  const main = `
    const main = async () => {
      const file = process.argv[1]
      ${source}
      console.log(after - before)
    }
    main()`
  const child = script(t, main, [temporaryPath(t)], { execArgv: ['--expose-gc'] })
  return Number((await child.rest()).at(-1))
}

test('worker threads that are terminated leave nothing of their deadlines behind', async (t) => {
  const worker = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { lockFile } = require(workerData.home)
    for (let i = 0; i < 10_000; i++) lockFile(workerData.file).acquire({ timeout: 1e9 })
    lockFile(workerData.file).isLocked().then(() => parentPort.postMessage('waiting'))`
  const source = `
      const { once } = require('node:events')
      const { Worker } = require('node:worker_threads')
      const home = Object.keys(require.cache).find((name) => name.endsWith('index.js'))
      lockFile(file).acquireSync()
      let before
      for (let i = 0; i < 10; i++) {
        const worker = new Worker(${JSON.stringify(worker)}, { eval: true, workerData: { home, file } })
        await once(worker, 'message')
        console.log('waiting')
        await worker.terminate()
        gc()
        if (i === 1) before = process.memoryUsage.rss()
      }
      const after = process.memoryUsage.rss()`
  const growth = await growthOf(t, source)
  // Eight workers are measured.
  assert.ok(growth < 8 * 2e6, `memory has grown by ${growth} bytes`)
})

test('a handle that is garbage leaves nothing behind', async (t) => {
  const source = `
      const make = async (count) => {
        for (let i = 0; i < count; i += 5000) {
          for (let j = 0; j < 5000; j++) lockFile(file)
          gc()
          console.log('made')
          // What collected handles leave to be done is done in turns of the event loop of its own.
          await new Promise(setImmediate)
        }
        return process.memoryUsage.rss()
      }
      const before = await make(30_000)
      const after = await make(120_000)`
  const growth = await growthOf(t, source)
  assert.ok(growth < 8e6, `memory has grown by ${growth} bytes`)
})
