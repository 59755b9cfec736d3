'use strict'

// What the system refuses, and what must not pile up.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('..')
const { agent, isFree, script, temporaryPath, unavailable, until } = require('./support.js')

const count = (folder) => fs.readdirSync(folder).length

test('without a free descriptor an acquire is EMFILE, and works again when there is one', async (t) => {
  const file = temporaryPath(t)
  const limited = script(
    t,
    `
    const fs = require('fs')
    const lock = lockFile(process.argv[1])
    const open = []
    try { for (;;) open.push(fs.openSync('/dev/null')) } catch {}
    const fail = (error) => console.log(error.code, error.syscall, error.message)
    ;(async () => {
      await lock.acquire().catch(fail)
      await lock.isLocked().catch(fail)
      try { lock.acquireSync() } catch (error) { fail(error) }
      console.log(lock.held)
      open.splice(0, 5).forEach((fd) => fs.closeSync(fd))
      await lock.acquire()
      console.log(lock.held)
      process.exit(0)
    })()
    `,
    [file],
    { execArgv: [] },
  )
  if (process.platform === 'win32') return t.skip('Windows has no such limit')
  const message = `EMFILE open EMFILE: too many open files, open '${file}'`
  assert.equal(await limited.line(), message)
  assert.equal(await limited.line(), message)
  assert.equal(await limited.line(), message)
  assert.equal(await limited.line(), 'false')
  assert.equal(await limited.line(), 'true')
})

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
  const missing = path.join(file, 'below')
  const lock = lockFile(file)
  const round = async () => {
    await lock.acquire()
    const [refused, , aborted] = await Promise.allSettled([
      lockFile(file).acquire({ timeout: 0 }),
      lockFile(file).isLocked(),
      lockFile(file).acquire({ signal: AbortSignal.abort() }),
      lockFile(missing).acquire(),
    ])
    assert.equal(refused.reason.code, 'ERR_LOCK_TIMEOUT')
    assert.equal(aborted.reason.code, 'ABORT_ERR')
    const waits = [lockFile(file).run(() => {}), lockFile(file).acquire({ timeout: 1 })]
    lock.release()
    const outcomes = await Promise.allSettled(waits)
    if (outcomes[1].status === 'fulfilled') outcomes[1].value.release()
    lock.acquireSync()
    lock.release()
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
