'use strict'

// Where the system has no thread to give, or no more of them: those who wait do the work themselves.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { agent, eventually, script, temporaryPath, unavailable } = require('./support.js')

/** A user that nobody else is: threads are counted by user. */
const USER = 100_000 + (process.pid % 1_000_000)

/** Longer than a thread stays that has nothing to do, in ms. */
const LONG = 11_000

/** A process of that user that runs `source` for a lock file. undefined: the test is skipped. */
async function nobodysProcess(t, source, env = {}) {
  if (process.platform !== 'linux' || process.getuid() !== 0) {
    unavailable(t, 'limiting the threads of a process takes Linux and root')
    return undefined
  }
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  fs.chmodSync(path.dirname(file), 0o777)
  fs.chmodSync(file, 0o666)
  const own = `
    process.setgroups([])
    process.setgid(${USER})
    process.setuid(${USER})
    const threads = () => require('fs').readdirSync('/proc/self/task').length
    const told = () => new Promise((resolve) => process.stdin.once('data', resolve))
    const file = process.argv[1]
    ${source}`
  const it = script(t, own, [file], { env: { ...process.env, ...env } })
  assert.equal(await it.line(), 'ready')
  return { it, file }
}

/** From now on it can have so many threads more. `false`: the test is skipped. */
function limit(t, it, more) {
  // One that it has does not count against it, until it wants another.
  const count = more === 0 ? 1 : fs.readdirSync(`/proc/${it.pid}/task`).length + more
  const limited = spawnSync('prlimit', ['--pid', String(it.pid), `--nproc=${count}`], { uid: USER, gid: USER })
  return limited.status === 0 || unavailable(t, 'prlimit(1) is not installed, or may not limit')
}

test('everything works where the system has no thread to give', async (t) => {
  const made = await nobodysProcess(
    t,
    `
    told().then(async () => {
      const before = threads()
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
      console.log('threads', threads() - before)
      process.exit(0)
    })
    console.log('ready')
    `,
  )
  if (!made || !limit(t, made.it, 0)) return
  const holder = agent(t, made.file)
  assert.equal(await holder.ask('try'), 'true')
  assert.equal(await made.it.ask('go'), 'ERR_LOCK_TIMEOUT')
  assert.equal(await made.it.line(), 'ERR_LOCK_TIMEOUT')
  assert.equal(await made.it.line(), 'ABORT_ERR')
  assert.equal(await made.it.line(), 'waiting')
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await made.it.line(), 'threads 0')
})

test('whoever waits is served though the threads have ended meanwhile and there are no others', async (t) => {
  const made = await nobodysProcess(
    t,
    `
    const before = threads()
    const lock = lockFile(file)
    lock.acquireSync()
    lockFile(file).acquire().then(() => console.log('acquired'))
    setTimeout(() => console.log('threads', threads() - before), ${LONG})
    told().then(() => {
      lock.release()
      console.log('released')
    })
    console.log('ready')
    `,
  )
  if (!made) return
  assert.equal(await made.it.line(), 'threads 0')
  if (!limit(t, made.it, 0)) return
  assert.equal(await made.it.ask('go'), 'released')
  assert.equal(await made.it.line(), 'acquired')
})

for (const [form, call] of Object.entries({
  'acquire()': 'lockFile(file).acquire().then(() => console.log("acquired"))',
  'acquireSync()': 'lockFile(file).acquireSync(); console.log("acquired")',
})) {
  test(`${form} is served where there is one thread, and another one would be needed to wait`, async (t) => {
    const source = `
      told().then(() => {
        console.log('waiting')
        ${call}
      })
      console.log('ready')`
    const made = await nobodysProcess(t, source, { LOCKET_WAIT: 'paced' })
    if (!made || !limit(t, made.it, 1)) return
    const holder = agent(t, made.file)
    assert.equal(await holder.ask('try'), 'true')
    assert.equal(await made.it.ask('go'), 'waiting')
    const acquired = made.it.line()
    // Its thread has tried by then; if not, the test is easier, and passes.
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(await holder.ask('release'), 'released')
    assert.equal(await eventually(acquired, 'the lock'), 'acquired')
  })
}
