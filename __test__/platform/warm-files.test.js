'use strict'

// Lock files that stay open for a moment after their release: what that is good for, and what it must not do to others.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { lockFile } = require('../..')
const { ROOT, temporaryPath } = require('../support/folders.js')
const { descriptorsOf, kernelLocks } = require('../support/kernel.js')
const { agent, Talker } = require('../support/processes.js')
const { Subject } = require('../support/system-calls/subject.js')
const { keepsWarm, needs, unavailable } = require('../support/systems.js')
const { eventually, until } = require('../support/waiting.js')

/** How a program acquires a lock. Each resolves to true if it has it. */
const FORMS = {
  acquire: async (lock) => (await lock.acquire({ timeout: 10_000 })) === lock,
  acquireSync: (lock) => lock.acquireSync({ timeout: 10_000 }) === lock,
  tryAcquire: (lock) => lock.tryAcquire(),
  tryAcquireSync: (lock) => lock.tryAcquireSync(),
}

/** What the source of another process or thread can begin with. */
const WARM = `
  const fs = require('node:fs')
  const { descriptorsOf } = require(${JSON.stringify(require.resolve('../support/kernel.js'))})
  const { lockFile } = require(${JSON.stringify(ROOT)})
  const warmUp = (file) => { for (let i = 0; i < 40; i++) lockFile(file).acquireSync().release() }
  const isOpen = (file) => descriptorsOf(file).length > 0`

const isOpen = (file) => descriptorsOf(file).length > 0

/** Resolves when `file` is closed. */
const closed = (file) => until(() => !isOpen(file), 'the end of the descriptor')

/** Uses the lock of `file` until the file stays open. Returns its handle. */
function warmUp(file) {
  const lock = lockFile(file)
  // More than it takes: on a busy machine it may have been closed again already.
  for (let i = 0; i < 4000; i++) {
    lock.acquireSync().release()
    if (isOpen(file)) return lock
  }
  return assert.fail('the file does not stay open')
}

/** Makes the path of `file` name another file. */
function replace(file) {
  fs.writeFileSync(`${file}.new`, '')
  fs.renameSync(`${file}.new`, file)
}

/** The timer thread of this process. */
const timerThread = () =>
  fs
    .readdirSync('/proc/self/task')
    .find((thread) => fs.readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trim() === 'locket-timer')

/** How often a thread of this process has gone to sleep. */
const sleepsOf = (thread) =>
  /^voluntary_ctxt_switches:\s*(\d+)/m.exec(fs.readFileSync(`/proc/self/task/${thread}/status`, 'utf8'))[1]

/**
 * Resolves when the kernel says that this process has locked the file that `file` names now. It shows some locks twice, and
 * others not at all, if locks come and go while its table is read.
 */
const isHeld = (file) => until(() => kernelLocks(file).length > 0, 'the lock in the table of the kernel')

/** A test where files stay open. */
const onWarm = (name, body) =>
  test(name, async (t) => {
    const file = temporaryPath(t)
    if (!keepsWarm(path.dirname(file))) return t.skip('only on Linux, on a file system of this machine')
    await body(file, t)
  })

describe('a lock that was released a moment ago is acquired without opening its file', () => {
  const WAYS = ['acquire', 'acquireSync', 'tryAcquire', 'run']
  for (const way of WAYS.flatMap((way) => [way, `${way} new`, `${way} worker`, `${way} new worker`])) {
    onWarm(way, async (file, t) => {
      if (!needs(t, 'python3')) return
      fs.writeFileSync(file, '')
      const rules = ['open', 'flock', 'stat', 'close'].map((call) => ({ call }))
      const it = new Subject(t, file, [process.execPath, require.resolve('./warm-user.js'), file], rules)
      const answer = await it.ask(way)
      if (answer === 'unavailable') return unavailable(t, 'seccomp is not allowed here')
      assert.equal(answer, 'used')
      // Once again and again at least: a busy machine may have closed it in between.
      assert.match(it.calls.join(), /(?:flock,stat,flock,){3}/)
    })
  }
})

describe('a file that was released a moment ago', () => {
  onWarm('is closed soon, and then no thread wakes any more', async (file) => {
    warmUp(file)
    await closed(file)
    const timer = timerThread()
    assert.ok(timer)
    let sleeps
    // As long as ten sweeps would take. It may still have been on its way back to sleep the first time.
    await until(async () => {
      const before = sleeps
      sleeps = sleepsOf(timer)
      await new Promise((resolve) => setTimeout(resolve, 300))
      return sleepsOf(timer) === sleeps && before !== undefined
    }, 'rest')
  })

  for (const [form, acquire] of Object.entries(FORMS)) {
    onWarm(`is not what ${form} locks when its path names another one`, async (file) => {
      const lock = warmUp(file)
      replace(file)
      assert.equal(await acquire(lock), true)
      await isHeld(file)
      lock.release()
    })

    onWarm(`is not what ${form} locks when it has been deleted`, async (file) => {
      const lock = warmUp(file)
      fs.rmSync(file)
      assert.equal(await acquire(lock), true)
      await isHeld(file)
      lock.release()
    })

    onWarm(
      `is nothing that ${form} waits for when another process has locked it and its path names another one`,
      async (file, t) => {
        const other = agent(t, file)
        await until(async () => {
          warmUp(file)
          assert.equal(await other.ask('sync'), 'acquired')
          if (isOpen(file)) return true
          // It was closed before: the machine is busy.
          assert.equal(await other.ask('release'), 'released')
          return false
        }, 'a file that is open and locked by another process')
        replace(file)
        const lock = lockFile(file)
        assert.equal(await acquire(lock), true)
        await isHeld(file)
        lock.release()
        assert.equal(await other.ask('release'), 'released')
      },
    )
  }

  onWarm('is locked by another process, which keeps it from us', async (file, t) => {
    const other = agent(t, file)
    warmUp(file)
    assert.equal(await other.ask('sync'), 'acquired')
    assert.equal(await lockFile(file).tryAcquire(), false)
    assert.equal(lockFile(file).tryAcquireSync(), false)
    const wait = lockFile(file).acquire()
    assert.equal(await other.ask('release'), 'released')
    const lock = await eventually(wait, 'the lock')
    assert.equal(await other.ask('try'), 'false')
    lock.release()
  })

  onWarm('can be run as a program that was written into it while it was locked', async (file) => {
    const lock = warmUp(file)
    lock.acquireSync()
    fs.copyFileSync('/bin/true', file)
    fs.chmodSync(file, 0o755)
    lock.release()
    const { error, status } = spawnSync(file)
    assert.equal(error, undefined)
    assert.equal(status, 0)
  })

  onWarm('can be run as a program also if it was created by its last lock', async (file) => {
    const lock = warmUp(file)
    fs.rmSync(file)
    lock.acquireSync()
    lock.release()
    fs.copyFileSync('/bin/true', file)
    fs.chmodSync(file, 0o755)
    const { error, status } = spawnSync(file)
    assert.equal(error, undefined)
    assert.equal(status, 0)
  })

  onWarm('is closed also if it was written after that', async (file) => {
    warmUp(file)
    fs.writeFileSync(file, 'content')
    await closed(file)
  })

  onWarm('is closed also if its last lock was held by a worker thread that has ended', async (file) => {
    const source = `${WARM}
      const { parentPort, workerData } = require('node:worker_threads')
      do warmUp(workerData)
      while (!isOpen(workerData))
      parentPort.postMessage('open')`
    const worker = new Worker(source, { eval: true, workerData: file })
    const [[answer]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
    assert.equal(answer, 'open')
    await closed(file)
  })

  onWarm('excludes the threads of its process from each other', async (file) => {
    const source = `${WARM}
      const { parentPort, workerData } = require('node:worker_threads')
      const { file, inside, ready } = workerData
      let failures = 0
      const turn = (lock) => {
        if (Atomics.add(inside, 0, 1) !== 0) failures++
        for (let i = 0; i < 1000; i++) Atomics.load(inside, 0)
        Atomics.sub(inside, 0, 1)
        lock.release()
      }
      async function main() {
        warmUp(file)
        // Both begin together.
        Atomics.add(ready, 0, 1)
        while (Atomics.load(ready, 0) < 2);
        for (let i = 0; i < 4000; i++) {
          turn(lockFile(file).acquireSync())
          turn(await lockFile(file).acquire())
        }
        parentPort.postMessage(failures)
      }
      main()`
    const [inside, ready] = [1, 2].map(() => new Int32Array(new SharedArrayBuffer(4)))
    const workers = [1, 2].map(() => new Worker(source, { eval: true, workerData: { file, inside, ready } }))
    const failures = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]))
    assert.deepEqual(failures, [0, 0])
  })
})

describe('files that were released a moment ago', () => {
  /** Locks 70 files and says how many of them are open at most; then how many others can be opened. */
  const MANY = `${WARM}
    const path = require('node:path')
    const folder = process.argv[1]
    const files = Array.from({ length: 70 }, (_, i) => path.join(folder, String(i)))
    let most = 0
    for (const file of files) {
      warmUp(file)
      most = Math.max(most, files.filter(isOpen).length)
    }
    let others = 0
    try {
      for (; others < 30; others++) fs.openSync('/dev/null')
    } catch {}
    console.log(JSON.stringify({ most, others }))`

  /** A process that may have so many descriptors. */
  const limited = (t, descriptors, source, folder) => {
    const command = `ulimit -n ${descriptors}; exec "$0" "$@"`
    return new Talker(t, 'sh', ['-c', command, process.execPath, '-e', source, folder])
  }

  onWarm('are 64 at most', async (file, t) => {
    const { most } = JSON.parse(await limited(t, 4096, MANY, path.dirname(file)).line())
    assert.ok(most > 1 && most <= 64, `${most}`)
  })

  onWarm('are a sixteenth of the descriptors of the process at most, and leave it the others', async (file, t) => {
    const { most, others } = JSON.parse(await limited(t, 100, MANY, path.dirname(file)).line())
    assert.ok(most > 1 && most <= 6, `${most}`)
    assert.equal(others, 30)
  })

  onWarm('give their descriptors back when there are no others for a lock', async (file, t) => {
    const source = `${WARM}
      const path = require('node:path')
      const files = ['a', 'b', 'c'].map((name) => path.join(process.argv[1], name))
      files.forEach(warmUp)
      try {
        for (;;) fs.openSync('/dev/null')
      } catch ({ code }) {
        console.log(code)
      }
      console.log(lockFile(path.join(process.argv[1], 'other')).acquireSync().held)`
    const child = limited(t, 100, source, path.dirname(file))
    assert.equal(await child.line(), 'EMFILE')
    assert.equal(await child.line(), 'true')
  })
})
