'use strict'

// What the system refuses, and what must not pile up.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('..')
const { agent, fixture, isFree, script, temporaryPath, unavailable, until } = require('./support.js')

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
  assert.ok(count('/proc/self/task') <= before.threads + 2, 'threads pile up')
  const growth = process.memoryUsage.rss() - before.rss
  assert.ok(growth < 40e6, `memory has grown by ${growth} bytes`)
  assert.equal(await isFree(file), true)
})

test('a handle that is garbage leaves nothing behind', async (t) => {
  const child = fixture(t, 'many-handles.js', [temporaryPath(t)], { execArgv: ['--expose-gc'] })
  const growth = Number(await child.line())
  assert.ok(growth < 8e6, `memory has grown by ${growth} bytes`)
})

test('everything works where the system has no thread to give', async (t) => {
  if (process.platform !== 'linux' || process.getuid() !== 0) {
    return unavailable(t, 'limiting the threads of a process takes Linux and root')
  }
  const file = temporaryPath(t)
  const limited = script(
    t,
    `
    process.setgroups([])
    process.setgid(65534)
    process.setuid(65534)
    process.stdin.once('data', async () => {
      const file = process.argv[1]
      const before = require('fs').readdirSync('/proc/self/task').length
      const lock = lockFile(file)
      await lock.acquire({ timeout: 20 }).catch((error) => console.log(error.code))
      try { lock.acquireSync({ timeout: 20 }) } catch (error) { console.log(error.code) }
      const controller = new AbortController()
      const aborted = lock.acquire({ signal: controller.signal })
      controller.abort()
      await aborted.catch((error) => console.log(error.code))
      const wait = lock.acquire()
      console.log('waiting')
      await wait
      const waits = Array.from({ length: 100 }, () => lockFile(file).run(() => {}))
      lock.release()
      await Promise.all(waits)
      lock.acquireSync()
      lock.release()
      console.log('threads', require('fs').readdirSync('/proc/self/task').length - before)
      process.exit(0)
    })
    console.log('ready')
    `,
    [file],
  )
  assert.equal(await limited.line(), 'ready')
  const limit = ['--pid', String(limited.pid), '--nproc=1']
  if (spawnSync('prlimit', limit, { uid: 65534, gid: 65534 }).status !== 0) {
    return unavailable(t, 'prlimit(1) is not installed, or may not limit')
  }
  const holder = agent(t, file)
  assert.equal(await holder.ask('try'), 'true')
  fs.chmodSync(path.dirname(file), 0o777)
  fs.chmodSync(file, 0o666)
  assert.equal(await limited.ask('go'), 'ERR_LOCK_TIMEOUT')
  assert.equal(await limited.line(), 'ERR_LOCK_TIMEOUT')
  assert.equal(await limited.line(), 'ABORT_ERR')
  assert.equal(await limited.line(), 'waiting')
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await limited.line(), 'threads 0')
})
