'use strict'

// Where the system has no thread to give, or no more than the two that waiting takes.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { temporaryPath } = require('../support/folders.js')
const { agent, holderOf, script } = require('../support/processes.js')
const { LINUX, unavailable } = require('../support/systems.js')

/** A user that nobody else is: threads are counted by user. */
const USER = 100_000 + (process.pid % 1_000_000)

/** A process of that user for a lock file, which runs `source`, an async function's body. undefined: the test is skipped. */
async function nobodysProcess(t, source) {
  if (!LINUX || process.getuid() !== 0) {
    return unavailable(t, 'limiting the threads of a process takes Linux and root') || undefined
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
    const tell = ({ code, syscall }) => console.log(code, syscall)
    const file = process.argv[1]
    told().then(async () => {
      ${source}
      process.exit(0)
    })
    console.log('ready')`
  const it = script(t, own, [file])
  assert.equal(await it.line(), 'ready')
  return { it, file }
}

/** From now on it can have so many threads more. `false`: the test is skipped. */
function limit(t, it, more) {
  // One that it has does not count against it, until it wants another.
  const count = more === 0 ? 1 : fs.readdirSync(`/proc/${it.pid}/task`).length + more
  const limited = spawnSync('prlimit', ['--pid', String(it.pid), `--nproc=${count}:`], { uid: USER, gid: USER })
  return limited.status === 0 || unavailable(t, 'prlimit(1) is not installed, or may not limit')
}

test('where the system has no thread to give a wait is refused, and a free lock is taken by the calling thread', async (t) => {
  const source = `
      const before = threads()
      const lock = lockFile(file)
      await lock.acquire().catch(tell)
      await lock.tryAcquire().catch(tell)
      try { lock.acquireSync() } catch (error) { tell(error) }
      console.log(lock.tryAcquireSync(), query().pending.length)
      await told()
      lock.acquireSync().release()
      lock.acquireSync({ mode: 'shared', timeout: 1000 }).release()
      console.log('threads', threads() - before)`
  const made = await nobodysProcess(t, source)
  if (!made || !limit(t, made.it, 0)) return
  const holder = await holderOf(t, made.file)
  made.it.say('go')
  for (let i = 0; i < 3; i++) assert.equal(await made.it.line(), 'EAGAIN pthread_create')
  assert.equal(await made.it.line(), 'false 0')
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await made.it.ask('go'), 'threads 0')
})

test('a wait that is refused for lack of a thread leaves nothing, and later ones are served when there are threads', async (t) => {
  const source = `
      const lock = lockFile(file)
      await lock.acquire().catch(tell)
      await told()
      await lock.run(() => console.log('acquired'))`
  const made = await nobodysProcess(t, source)
  if (!made || !limit(t, made.it, 0)) return
  assert.equal(await made.it.ask('go'), 'EAGAIN pthread_create')
  if (limit(t, made.it, 100)) assert.equal(await made.it.ask('go'), 'acquired')
})

for (const form of ['acquire', 'acquireSync']) {
  test(`two threads are enough to serve ${form}(), to time out and to be aborted`, async (t) => {
    const source = `
      const controller = new AbortController()
      const aborted = lockFile(file).acquire({ signal: controller.signal })
      controller.abort()
      await aborted.catch((error) => console.log(error.code))
      await lockFile(file).acquire({ timeout: 20 }).catch((error) => console.log(error.code))
      console.log('waiting')
      await lockFile(file).${form}()
      console.log('acquired')`
    const made = await nobodysProcess(t, source)
    if (!made || !limit(t, made.it, 2)) return
    const holder = agent(t, made.file)
    assert.equal(await holder.ask('try'), 'true')
    assert.equal(await made.it.ask('go'), 'ABORT_ERR')
    assert.equal(await made.it.line(), 'ERR_LOCK_TIMEOUT')
    assert.equal(await made.it.line(), 'waiting')
    const acquired = made.it.line()
    // It has tried by then; if not, the test is easier, and passes.
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(await holder.ask('release'), 'released')
    assert.equal(await acquired, 'acquired')
  })
}
