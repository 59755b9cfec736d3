'use strict'

// The protocol 'fcntl': a record lock that belongs to an open file description. What other programs make of it is tested in
// interop/.

const assert = require('node:assert/strict')
const { execFileSync, spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { lockFile } = require('../..')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { descriptorsOf, isWaitedFor } = require('../support/kernel.js')
const { AGENT, agent, script, Talker } = require('../support/processes.js')
const { keepsWarm, needs, onFcntl, onLinux, unavailable } = require('../support/systems.js')
const { errorNamingHolders, errorOf, eventually, staysPending, until } = require('../support/waiting.js')

const FCNTL = { protocol: 'fcntl' }
const FLOCK = { protocol: 'flock' }

/** A handle of this process. */
function handle(t, file, options) {
  const lock = lockFile(file, { ...FCNTL, ...options })
  t.after(() => lock[Symbol.dispose]())
  return lock
}

/** A wait for the lock. It is given up when the test ends, or a test that fails would never let this process end. */
const waiting = (t, file, options) => handle(t, file, options).acquire({ signal: t.signal })

/** An agent that holds the lock. */
async function holder(t, file, options = {}) {
  const it = agent(t, file, { ...FCNTL, ...options })
  assert.equal(await it.ask('acquire'), 'waiting')
  assert.equal(await it.line(), 'acquired')
  return it
}

/** Whether another process gets the lock. It ends at once. */
async function tries(t, file, options) {
  const it = agent(t, file, { ...FCNTL, ...options })
  const answer = await it.ask('try')
  await it.kill()
  return answer === 'true'
}

test('an exclusive lock keeps out all, a shared one those that want it alone', onFcntl, async (t) => {
  const file = temporaryPath(t)
  const other = await holder(t, file)
  for (const mode of ['exclusive', 'shared']) assert.equal(await handle(t, file, { mode }).tryAcquire(), false)
  await other.ask('release')
  const shared = await handle(t, file, { mode: 'shared' }).acquire()
  assert.equal(await tries(t, file), false)
  assert.equal(await tries(t, file, { mode: 'shared' }), true)
  shared.release()
  const lock = handle(t, file)
  assert.equal(lock.tryAcquireSync(), true)
  assert.equal(await tries(t, file, { mode: 'shared' }), false)
  lock.release()
  assert.equal(await tries(t, file), true)
})

test('a file that was locked for reading is opened for writing when it is locked exclusively', onFcntl, async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  const shared = handle(t, file, { mode: 'shared' })
  await shared.acquire()
  // In the queue of the file that is open for reading.
  const wait = waiting(t, file)
  assert.ok(await staysPending(wait, 50))
  shared.release()
  const lock = await eventually(wait, 'the lock')
  assert.equal(await tries(t, file, { mode: 'shared' }), false)
  lock.release()
})

test('a wait times out, names the holder, and leaves nothing behind', onFcntl, async (t) => {
  const file = temporaryPath(t)
  const other = await holder(t, file)
  const lock = handle(t, file)
  for (const timeout of [0, 20]) {
    assert.equal((await errorOf(() => lock.acquire(timeout))).code, 'ERR_LOCK_TIMEOUT')
    assert.throws(() => lock.acquireSync(timeout), { code: 'ERR_LOCK_TIMEOUT' })
  }
  if (onLinux.skip === false) {
    const error = await errorNamingHolders(() => lock.acquire(20))
    assert.deepEqual(
      error.holders.map(({ pid, mode }) => ({ pid, mode })),
      [{ pid: other.pid, mode: 'exclusive' }],
    )
  }
  await other.ask('release')
  assert.equal(await tries(t, file), true)
})

test('an abort takes a thread out of the kernel, and the lock comes to others', onLinux, async (t) => {
  const file = temporaryPath(t)
  const other = await holder(t, file)
  const controller = new AbortController()
  const wait = handle(t, file).acquire({ signal: controller.signal })
  await until(() => isWaitedFor(file), 'a wait in the kernel')
  controller.abort()
  assert.equal((await errorOf(() => wait)).name, 'AbortError')
  await until(() => !isWaitedFor(file), 'the end of the wait')
  await other.ask('release')
  assert.equal(await tries(t, file), true)
})

test('a waiter gets in when the holder is killed', onFcntl, async (t) => {
  const file = temporaryPath(t)
  const other = await holder(t, file)
  const wait = waiting(t, file)
  assert.ok(await staysPending(wait, 50))
  await other.kill()
  await eventually(wait, 'the lock')
})

test('worker threads exclude each other', onFcntl, async (t) => {
  const file = temporaryPath(t)
  const lock = await handle(t, file).acquire()
  const thread = new Worker(AGENT, { argv: [file, JSON.stringify(FCNTL)], stdin: true, stdout: true })
  t.after(() => thread.terminate())
  const says = async (command) => {
    thread.stdin.write(`${command}\n`)
    return String(
      (await eventually(thread.stdout.iterator({ destroyOnReturn: false }).next(), 'an answer')).value,
    ).trim()
  }
  assert.equal(await says('try'), 'false')
  lock.release()
  assert.equal(await says('try'), 'true')
  assert.equal(await lock.tryAcquire(), false)
  await thread.terminate()
  assert.equal(await lock.tryAcquire(), true)
})

test('a child does not inherit the lock', onFcntl, async (t) => {
  const file = temporaryPath(t)
  const source = `
    lockFile(process.argv[1], ${JSON.stringify(FCNTL)}).acquireSync()
    const child = require('node:child_process').spawn('cat', { stdio: ['inherit', 'ignore', 'ignore'] })
    child.on('spawn', () => console.log(child.pid))`
  const parent = script(t, source, [file])
  const child = Number(await parent.line())
  assert.equal(await tries(t, file), false)
  process.kill(parent.pid, 'SIGKILL')
  await eventually(waiting(t, file), 'the lock')
  assert.ok(process.kill(child, 0), 'the child has ended, too')
})

test('closing another descriptor of the file does not lose the lock', onFcntl, async (t) => {
  const file = temporaryPath(t)
  const lock = await handle(t, file).acquire()
  fs.closeSync(fs.openSync(file, 'r+'))
  fs.readFileSync(file)
  assert.equal(await handle(t, file).tryAcquire(), false)
  await lockFile(file, FLOCK).run(() => {})
  assert.equal(await tries(t, file), false)
  lock.release()
  assert.equal(await tries(t, file), true)
})

test("a lock of 'flock' and one of 'fcntl' are two locks", onFcntl, async (t) => {
  const file = temporaryPath(t)
  if (onLinux.skip === false && !keepsWarm(path.dirname(file))) return t.skip('it may be a network file system')
  for (const [held, other] of [
    [FLOCK, FCNTL],
    [FCNTL, FLOCK],
  ]) {
    await lockFile(file, held).acquire()
    assert.equal(await lockFile(file, held).isLocked(), true)
    assert.equal(await lockFile(file, other).isLocked(), false)
    if (onLinux.skip === false) {
      assert.equal((await lockFile(file, held).holders()).length, 1)
      assert.deepEqual(await lockFile(file, other).holders(), [])
    }
    // A handle that has never asked releases the lock of this process, but no other one.
    assert.throws(() => lockFile(file, other).release(), { code: 'ERR_LOCK_NOT_HELD' })
    const second = lockFile(file, other)
    assert.equal(second.tryAcquireSync(), true)
    assert.equal(await tries(t, file, other), false)
    second.release()
    assert.equal(await tries(t, file, other), true)
    assert.equal(await tries(t, file, held), false)
    lockFile(file, held).release()
  }
  return undefined
})

test('isLocked() and holders() tell of others, also where this process may only read', onLinux, async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  if (!needs(t, 'python3')) return
  const lock = handle(t, file)
  assert.deepEqual([await lock.isLocked(), await lock.holders()], [false, []])
  const call = 'fcntl.lockf(file, fcntl.LOCK_EX, 1, 7)'
  const source = `import fcntl, sys\nfile = open(sys.argv[1], 'r+')\n${call}\nprint('locked', flush=True)\nsys.stdin.read()`
  const python = new Talker(t, 'python3', ['-c', source, file])
  assert.equal(await python.line(), 'locked')
  assert.equal(await lock.isLocked(), true, 'of one byte')
  assert.deepEqual(
    (await lock.holders()).map(({ pid, mode }) => [pid, mode]),
    [[python.pid, 'exclusive']],
  )
  await python.kill()
  const others = await Promise.all([1, 2].map(() => holder(t, file, { mode: 'shared' })))
  const pids = others.map(({ pid }) => pid).sort()
  assert.deepEqual(
    (await lock.holders()).map(({ pid, mode }) => [pid, mode]).sort(),
    pids.map((pid) => [pid, 'shared']),
  )
})

/** What a process without privileges says that runs `source` for `file`, which it may only read. Skips without root. */
async function asNobody(t, source, file) {
  if (process.getuid() !== 0) return unavailable(t, 'becoming another user takes root') || undefined
  fs.chmodSync(file, 0o644)
  fs.chmodSync(path.dirname(file), 0o755)
  const drop = 'process.setgroups([]); process.setgid(65534); process.setuid(65534)'
  const nobody = script(t, `${drop}\nconst file = process.argv[1]\nasync function main() {${source}}\nmain()`, [file])
  return JSON.parse(await nobody.line())
}

test('a file that one may only read is locked shared; an exclusive lock is EACCES', onFcntl, async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  const source = `
    const lock = lockFile(file, { protocol: 'fcntl' })
    const error = await lock.acquire().catch((error) => error)
    const failed = (() => { try { lock.tryAcquireSync() } catch (error) { return error.code } })()
    await lock.run(() => {}, { mode: 'shared' })
    console.log(JSON.stringify([error.code, error.syscall, error.message, failed, await lock.isLocked()]))`
  const told = await asNobody(t, source, file)
  if (told === undefined) return
  assert.deepEqual(told, ['EACCES', 'fcntl', `EACCES: permission denied, fcntl '${file}'`, 'EACCES', false])
})

test('a holder into which one may not look is not named, but the lock is held', onLinux, async (t) => {
  const file = temporaryPath(t)
  await handle(t, file).acquire()
  const source = `
    const lock = lockFile(file, { protocol: 'fcntl' })
    const error = await lock.acquire({ timeout: 0, mode: 'shared' }).catch((error) => error)
    console.log(JSON.stringify([await lock.isLocked(), await lock.holders(), error.message]))`
  const told = await asNobody(t, source, file)
  if (told === undefined) return
  assert.deepEqual(told, [true, [], `Couldn't lock ${file}: it is locked`])
})

test('a file is created with the given mode, and its bytes and times stay as they are', onFcntl, async (t) => {
  const file = temporaryPath(t)
  await handle(t, file, { fileMode: 0o600 }).run(() => {})
  assert.equal(fs.statSync(file).mode & 0o777, 0o600)
  fs.writeFileSync(file, 'precious')
  fs.utimesSync(file, 1000, 1000)
  await handle(t, file).run(() => {})
  assert.equal(fs.readFileSync(file, 'utf8'), 'precious')
  assert.equal(fs.statSync(file).mtimeMs, 1_000_000)
})

test('removeOnRelease removes the file under the lock, and a waiter locks the next one', onFcntl, async (t) => {
  const file = temporaryPath(t)
  const options = { removeOnRelease: true }
  const lock = await handle(t, file, options).acquire()
  const other = agent(t, file, { ...FCNTL, ...options })
  assert.equal(await other.ask('acquire'), 'waiting')
  const acquired = other.line()
  assert.ok(await staysPending(acquired, 50))
  lock.release()
  assert.equal(await acquired, 'acquired')
  assert.equal(await handle(t, file).tryAcquire(), false)
  await other.ask('release')
  assert.equal(fs.existsSync(file), false)
})

test('a folder can be locked shared, and not exclusively', onFcntl, async (t) => {
  const folder = temporaryFolder(t)
  const lock = handle(t, folder, { allowDirectory: true })
  await lock.run(() => {}, { mode: 'shared' })
  const { code, cause } = await errorOf(() => lock.acquire())
  assert.deepEqual([code, cause.syscall], ['ERR_LOCK_UNSUPPORTED', 'fcntl'])
  assert.equal(await lock.isLocked(), false)
  await assert.rejects(handle(t, folder).acquire(), { code: 'EISDIR', syscall: 'open' })
})

test('a program that runs is locked shared; an exclusive lock is ETXTBSY', onLinux, async (t) => {
  const file = temporaryPath(t)
  fs.copyFileSync(execFileSync('sh', ['-c', 'command -v cat'], { encoding: 'utf8' }).trim(), file)
  fs.chmodSync(file, 0o755)
  const program = spawn(file, { stdio: ['pipe', 'ignore', 'ignore'] })
  t.after(() => program.kill())
  await new Promise((resolve) => program.on('spawn', resolve))
  await handle(t, file).run(() => {}, { mode: 'shared' })
  await assert.rejects(handle(t, file).acquire(), { code: 'ETXTBSY', syscall: 'open' })
})

test('a file never stays open after a release', onLinux, (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  const lock = handle(t, file)
  for (let i = 0; i < 100; i++) {
    lock.acquireSync()
    lock.release()
    assert.deepEqual(descriptorsOf(file), [])
  }
})

test('breakLock() is refused', onFcntl, async (t) => {
  const lock = await handle(t, temporaryPath(t)).acquire()
  await assert.rejects(lock.breakLock(), { code: 'ERR_LOCK_UNSUPPORTED' })
  assert.equal(lock.held, true)
})

test('where the system has no such lock that is an error, and no file is made', {
  skip: !onFcntl.skip && 'it has',
}, async (t) => {
  const lock = handle(t, temporaryPath(t))
  for (const call of [() => lock.acquire(), () => lock.tryAcquire(), () => lock.isLocked()]) {
    await assert.rejects(call(), { code: 'ERR_LOCK_UNSUPPORTED' })
  }
  assert.throws(() => lock.acquireSync(), { code: 'ERR_LOCK_UNSUPPORTED' })
  assert.equal(fs.existsSync(lock.path), false)
})
