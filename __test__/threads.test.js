'use strict'

const assert = require('node:assert/strict')
const { setMaxListeners } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('..')
const {
  agent,
  eventually,
  fixture,
  isFree,
  script,
  staysPending,
  temporaryFolder,
  temporaryPath,
  Thread,
} = require('./support.js')

const ROOT = path.dirname(__dirname)

/** A wait of the main thread, which ends with the test at the latest. */
const waitFor = (t, file) => lockFile(file).acquire({ signal: t.signal })

test('one thread at a time has the lock, whichever way it is acquired', async (t) => {
  const THREADS = 4
  const TURNS = 100
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'test.lock')
  const counter = path.join(folder, 'counter')
  fs.writeFileSync(counter, '0')
  const parts = await Promise.all(
    Array.from({ length: THREADS }, async (_, i) => {
      const intervals = new BigInt64Array(new SharedArrayBuffer(TURNS * 2 * BigInt64Array.BYTES_PER_ELEMENT))
      assert.equal(await new Thread(t, file).ask('count', { counter, intervals, sync: i === 0 }), undefined)
      return intervals
    }),
  )
  assert.equal(fs.readFileSync(counter, 'utf8'), String(THREADS * TURNS))
  const intervals = parts.flatMap((part) => Array.from({ length: TURNS }, (_, i) => part.subarray(2 * i, 2 * i + 2)))
  intervals.sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [i, [start, end]] of intervals.entries()) {
    assert.ok(start > 0n && start <= end)
    if (i > 0) assert.ok(intervals[i - 1][1] <= start, `turn ${i} began before the one before it had ended`)
  }
})

test('threads are served in the order in which they came', async (t) => {
  const file = temporaryPath(t)
  const threads = Array.from({ length: 4 }, () => new Thread(t, file))
  const main = threads.length
  const order = [2, 0, 3, main, 1, 1, main, 3, 0, 2, main, 0, 1, 2, 3]
  const turns = new Int32Array(new SharedArrayBuffer((order.length + 1) * Int32Array.BYTES_PER_ELEMENT))

  const lock = await lockFile(file).acquire()
  const mine = []
  for (const name of order) {
    if (name === main) {
      mine.push(
        lockFile(file).run(() => {
          turns[Atomics.add(turns, 0, 1) + 1] = name
        }),
      )
      await lock.isLocked()
    } else {
      assert.equal(await threads[name].ask('takeTurn', { turns, name }), 'waiting')
    }
  }
  assert.equal(turns[0], 0)
  lock.release()
  await eventually(Promise.all(mine), 'the turns of the main thread')
  for (const name of order) if (name !== main) assert.equal(await threads[name].answer(), 'done')
  assert.deepEqual([...turns.subarray(1)], order)
})

test('threads that share are let in together, and none of them overtakes', async (t) => {
  const file = temporaryPath(t)
  const modes = ['shared', 'shared', 'exclusive', 'shared']
  const lock = await lockFile(file).acquire()
  const threads = modes.map(() => new Thread(t, file))
  for (const [i, mode] of modes.entries()) assert.equal(await threads[i].ask('acquire', { mode }), 'waiting')
  const answers = threads.map((thread) => thread.answer())
  const [first, second, alone, late] = answers
  assert.ok(await staysPending(Promise.race(answers)))

  lock.release()
  assert.deepEqual(await Promise.all([first, second]), ['acquired', 'acquired'])
  assert.ok(await staysPending(Promise.race([alone, late])))
  assert.equal(await threads[0].ask('release'), 'released')
  assert.ok(await staysPending(Promise.race([alone, late])))
  assert.equal(await threads[1].ask('release'), 'released')
  assert.equal(await alone, 'acquired')
  assert.ok(await staysPending(late))
  assert.equal(await threads[2].ask('release'), 'released')
  assert.equal(await late, 'acquired')
})

test('what one thread holds exclusively, any thread may release whose handle has never asked for it', async (t) => {
  const file = temporaryPath(t)
  const thread = new Thread(t, file)
  const mine = lockFile(file)
  const stranger = agent(t, file)

  assert.equal(await thread.acquire(), 'acquired')
  assert.equal(await thread.ask('held'), true)
  assert.equal(mine.held, false)
  mine.release()
  assert.equal(await thread.ask('held'), false)
  assert.equal(await thread.ask('release'), 'ERR_LOCK_NOT_HELD')
  assert.throws(() => mine.release(), { code: 'ERR_LOCK_NOT_HELD' })
  assert.equal(await stranger.ask('try'), 'true')
  await stranger.ask('release')

  await mine.acquire()
  assert.equal(await thread.ask('acquire'), 'waiting')
  assert.equal(await thread.ask('release'), 'ERR_LOCK_NOT_HELD')
  assert.equal(mine.held, true)
  assert.equal(await new Thread(t, file).ask('release'), 'released')
  assert.equal(mine.held, false)
  assert.equal(await thread.answer(), 'acquired')
  assert.equal(await stranger.ask('try'), 'false')
})

test('a shared hold is released by its own handle alone', async (t) => {
  const file = temporaryPath(t)
  const thread = new Thread(t, file)
  const mine = lockFile(file, { mode: 'shared' })
  const stranger = agent(t, file)

  await thread.acquire({ mode: 'shared' })
  assert.throws(() => mine.release(), { code: 'ERR_LOCK_NOT_HELD' })
  await mine.acquire()
  mine.release()
  assert.throws(() => mine.release(), { code: 'ERR_LOCK_NOT_HELD' })
  assert.equal(await thread.ask('held'), true)
  assert.equal(await stranger.ask('try'), 'false')

  await mine.acquire()
  assert.equal(await thread.ask('release'), 'released')
  assert.equal(await thread.ask('release'), 'ERR_LOCK_NOT_HELD')
  assert.equal(mine.held, true)
  assert.equal(await stranger.ask('try'), 'false')
  mine.release()
  assert.equal(await stranger.ask('try'), 'true')
})

test('disposal in one thread leaves alone what another thread has acquired', async (t) => {
  const file = temporaryPath(t)
  const thread = new Thread(t, file)
  const mine = await lockFile(file).acquire()
  await thread.ask('dispose')
  assert.equal(mine.held, true)
  mine.release()
  await thread.acquire()
  mine[Symbol.dispose]()
  await mine[Symbol.asyncDispose]()
  assert.equal(await thread.ask('held'), true)
  assert.equal(await isFree(file), false)
})

// How a worker thread ends, and whether it can have waits pending then: by itself it does not end before they do.
const ENDINGS = [
  { how: 'ends by itself', end: (thread) => thread.say('end'), code: 0, waits: false },
  { how: 'calls process.exit()', end: (thread) => thread.say('exit', 3), code: 3, waits: true },
  { how: 'fails', end: (thread) => thread.say('fail'), code: 1, failure: 'on purpose', waits: true },
  { how: 'is terminated', end: (thread) => thread.terminate(), code: 1, waits: true },
]

for (const { how, end, code, failure, waits } of ENDINGS) {
  test(`a worker that ${how} releases what it holds and leaves the lines`, async (t) => {
    const folder = temporaryFolder(t)
    const [held, shared, awaited] = ['held', 'shared', 'awaited'].map((name) => path.join(folder, name))
    const thread = new Thread(t, held)
    assert.equal(await thread.acquire(), 'acquired')
    assert.equal(await thread.acquire({ mode: 'shared' }, shared), 'acquired')
    const sharing = await lockFile(shared).acquire({ mode: 'shared' })
    const obstacle = await lockFile(awaited).acquire()
    if (waits) assert.equal(await thread.ask('acquire', undefined, awaited), 'waiting')

    const next = waitFor(t, held)
    const alone = waitFor(t, shared)
    const behind = waitFor(t, awaited)
    const stranger = agent(t, held)
    assert.equal(await stranger.ask('acquire'), 'waiting')
    const strangers = stranger.line()
    assert.ok(await staysPending(Promise.race([next, alone, behind, strangers])))

    end(thread)
    const exit = await eventually(thread.exited, 'the end of the worker')
    assert.equal(exit.code, code)
    assert.equal(exit.failure?.message, failure)
    // Both get it, in the kernel's order.
    const mine = next.then((lock) => lock.release())
    const theirs = strangers.then((line) => stranger.ask('release').then(() => line))
    await eventually(mine, 'the lock that the worker held')
    assert.equal(await theirs, 'acquired')
    assert.ok(await staysPending(Promise.race([alone, behind])))
    sharing.release()
    await eventually(alone, 'the lock that the worker shared')
    obstacle.release()
    await eventually(behind, 'the lock that the worker waited for')
  })
}

test('a worker stays until its pending acquire is settled', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const thread = new Thread(t, file)
  assert.equal(await thread.ask('acquire'), 'waiting')
  thread.say('end')
  assert.ok(await staysPending(thread.exited, 100))
  lock.release()
  assert.equal((await eventually(thread.exited, 'the end of the worker')).code, 0)
  assert.equal(await isFree(file), true)
})

for (const count of [1, 1000]) {
  test(`terminate() with ${count} waits pending neither hangs nor crashes`, async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    for (let round = 0; round < 20; round++) {
      const thread = new Thread(t, file)
      assert.equal(await thread.ask('queueUp', { count }), 'waiting')
      await thread.terminate()
    }
    const behind = waitFor(t, file)
    assert.ok(await staysPending(behind))
    lock.release()
    await eventually(behind, 'the lock')
  })
}

test('terminate() with waits pending in more files than threads may wait in the kernel', async (t) => {
  const folder = temporaryFolder(t)
  const files = Array.from({ length: 400 }, (_, i) => path.join(folder, `${i}.lock`))
  const holder = script(
    t,
    `for (const file of JSON.parse(process.argv[1])) lockFile(file).acquireSync()
    console.log('acquired')
    process.stdin.resume()`,
    [JSON.stringify(files)],
  )
  assert.equal(await holder.line(), 'acquired')
  for (let round = 0; round < 3; round++) {
    const thread = new Thread(t, files[0])
    assert.equal(await thread.ask('queueUp', { files, count: 2 }), 'waiting')
    await thread.terminate()
  }
  setMaxListeners(0, t.signal)
  const waits = files.map((file) => waitFor(t, file))
  assert.ok(await staysPending(Promise.race(waits)))
  await holder.kill()
  await eventually(Promise.all(waits), 'the locks')
})

test('terminate() at any instant leaves no lock and no place in line behind', async (t) => {
  const file = temporaryPath(t)
  const mine = lockFile(file)
  for (let round = 0; round < 10; round++) {
    const threads = [new Thread(t, file), new Thread(t, file)]
    for (const thread of threads) assert.equal(await thread.ask('churn'), 'turning')
    const waiting = new Thread(t, file)
    waiting.say('queueUp', { count: 100 })
    await Promise.all([...threads, waiting].map((thread) => thread.terminate()))
    await eventually(mine.acquire({ signal: t.signal }), 'the lock')
    mine.release()
  }
})

test('terminate() ends a worker that waits in acquireSync()', async (t) => {
  const file = temporaryPath(t)
  const stranger = agent(t, file)
  assert.equal(await stranger.ask('try'), 'true')
  for (const place of ['first in line', 'behind another']) {
    const ahead = place === 'first in line' ? undefined : new Thread(t, file)
    if (ahead) assert.equal(await ahead.ask('acquire'), 'waiting')
    const thread = new Thread(t, file)
    assert.equal(await thread.ask('acquireSync'), 'waiting')
    assert.ok(await staysPending(thread.exited, 100), place)
    await thread.terminate()
    if (ahead) await ahead.terminate()
  }
  const next = waitFor(t, file)
  assert.ok(await staysPending(next))
  assert.equal(await stranger.ask('release'), 'released')
  ;(await eventually(next, 'the lock')).release()

  const mine = await lockFile(file).acquire()
  const thread = new Thread(t, file)
  assert.equal(await thread.ask('acquireSync'), 'waiting')
  assert.ok(await staysPending(thread.exited, 100))
  await thread.terminate()
  mine.release()
  assert.equal(await isFree(file), true)
})

test('process.exit() ends a process whose workers wait', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const child = script(
    t,
    `const { once } = require('node:events')
    const { Worker } = require('node:worker_threads')
    const ways = [{ command: 'acquireSync' }, { command: 'queueUp', options: { count: 100 } }, { command: 'acquire' }]
    const waits = ways.map((way) => {
      const worker = new Worker(process.argv[1], { workerData: { file: process.argv[2] } })
      worker.postMessage(way)
      return once(worker, 'message')
    })
    lockFile(process.argv[2]).acquire()
    Promise.all(waits).then((answers) => {
      console.log(answers.flat().join())
      process.stdin.once('data', () => process.exit(7))
    })`,
    [path.join(__dirname, 'fixtures/thread.js'), file],
  )
  assert.equal(await child.line(), 'waiting,waiting,waiting')
  child.say('exit')
  assert.deepEqual(await eventually(child.exited, 'the end of the process'), { code: 7, signal: null, stderr: '' })
  lock.release()
  assert.equal(await isFree(file), true)
})

for (const count of [1, 1000]) {
  test(`workers that alone have loaded the package can be terminated with ${count} waits pending`, async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = fixture(t, 'workers-alone.js', [file, String(count), '20'])
    for (let round = 0; round < 20; round++) assert.equal(await child.line(), 'terminated')
    assert.equal(await child.line(), 'done')
    assert.deepEqual(await eventually(child.exited, 'the end of the process'), { code: 0, signal: null, stderr: '' })
    lock.release()
    assert.equal(await isFree(file), true)
  })
}

test('two copies of the package in one process exclude each other, and both can wait', async (t) => {
  const folder = temporaryFolder(t)
  const copy = path.join(folder, 'copy')
  const file = path.join(folder, 'test.lock')
  fs.mkdirSync(copy)
  const addons = fs.readdirSync(ROOT).filter((name) => name.endsWith('.node'))
  assert.notEqual(addons.length, 0)
  for (const name of ['index.js', 'lib', 'native.js', 'package.json', ...addons]) {
    fs.cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true })
  }
  const child = fixture(t, 'two-copies.js', [copy, file])
  assert.equal(await child.line(), 'free')
  const lock = await lockFile(file).acquire()
  assert.equal(await child.ask('locked'), 'waiting')
  lock.release()
  assert.equal(await child.line(), 'done')
  assert.deepEqual(await eventually(child.exited, 'the end of the process'), { code: 0, signal: null, stderr: '' })
})
