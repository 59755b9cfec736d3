'use strict'

// What depends on the runtime, beside the tests of the API, which run in every runtime: see scripts/runtimes.js.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { lockFile } = require('@locket/native')
const { temporaryFolder, temporaryPath, temporaryPaths } = require('../support/folders.js')
const { holderOf, outcomeOf, waiterOf } = require('../support/processes.js')
const { eventually, staysPending } = require('../support/waiting.js')

const { bun, deno, node } = process.versions

/** The permissions that the package needs: not to write files, nor to start processes. */
const PERMISSIONS = deno
  ? ['run', '--no-prompt', '--allow-ffi', '--allow-read', '--allow-env=NAPI_RS_NATIVE_LIBRARY_PATH']
  : [node.startsWith('20.') ? '--experimental-permission' : '--permission', '--allow-addons', '--allow-fs-read=*']

test('few permissions are enough', { skip: bun && 'Bun has no permissions' }, (t) => {
  const file = path.join(temporaryFolder(t), 'test.lock')
  const { code, stdout } = outcomeOf(process.execPath, [...PERMISSIONS, path.join(__dirname, 'restricted.cjs'), file])
  assert.deepEqual([code, stdout], [0, 'refused\nacquired\n'])
})

const hasUsing = bun || deno || Number.parseInt(node, 10) >= 24

test('`using` and `await using` release the lock', { skip: !hasUsing && 'the syntax is unknown' }, async (t) => {
  const file = temporaryPath(t)
  for (const [form, block] of Object.entries(require('./using.cjs'))) {
    let seen
    const result = await block(file, (lock) => {
      assert.equal(lock.held, true)
      seen = lock
      return form
    })
    assert.equal(result, form)
    assert.equal(seen.held, false)
  }
})

test('waits do not hold up file system calls of the program', async (t) => {
  const files = temporaryPaths(t, ...Array.from({ length: 8 }, (_, i) => `${i}.lock`))
  const holders = []
  for (const file of files) holders.push(await holderOf(t, file))
  const waits = files.map((file) => lockFile(file).acquire())
  assert.ok(await staysPending(Promise.race(waits)))
  const read = fs.promises.readFile(__filename, 'utf8')
  assert.match(await eventually(read, 'a file read while waits are pending'), /^'use strict'/)
  assert.ok(await staysPending(Promise.race(waits)))
  for (const holder of holders) assert.equal(await holder.ask('release'), 'released')
  for (const lock of await eventually(Promise.all(waits), 'the locks')) lock.release()
})

/** A worker that holds the lock of `file`, and ends by itself when it gets a message. */
const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const lock = require('@locket/native').lockFile(workerData)
  lock.acquire().then(() => parentPort.postMessage('acquired'))
  // Deno's parentPort has no close().
  parentPort.once('message', () => (parentPort.close ? parentPort.close() : globalThis.close()))
`

test('a worker that closes its port ends, and what it holds is free', async (t) => {
  const file = temporaryPath(t)
  const source = path.join(path.dirname(file), 'worker.cjs')
  fs.writeFileSync(source, WORKER.replace('@locket/native', path.join(__dirname, '../..').replaceAll('\\', '/')))
  const worker = new Worker(source, { workerData: file })
  const ended = once(worker, 'exit')
  assert.deepEqual(await eventually(once(worker, 'message'), 'the lock'), ['acquired'])
  const next = lockFile(file).acquire()
  assert.ok(await staysPending(next))
  worker.postMessage('end')
  await eventually(ended, 'the end of the worker')
  ;(await eventually(next, 'the lock that the worker held')).release()
})

test('processes hand over, also when the holder is killed, and a timeout and an abort end a wait', async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const lock = lockFile(file)
  await assert.rejects(lock.acquire(20), { code: 'ERR_LOCK_TIMEOUT' })
  await assert.rejects(lock.acquire({ signal: AbortSignal.timeout(20) }), { code: 'ABORT_ERR' })
  const first = lock.acquire()
  assert.ok(await staysPending(first))
  await holder.kill()
  await eventually(first, 'the lock of the process that was killed')
  const { waiter, acquired } = await waiterOf(t, file)
  lock.release()
  assert.equal(await acquired, 'acquired')
  assert.equal(await lock.tryAcquire(), false)
  assert.equal(await waiter.ask('release'), 'released')
  await lock.run(() => {})
})
