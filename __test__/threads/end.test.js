'use strict'

// A worker thread that ends releases what it holds and leaves the queues, and terminate() neither hangs nor crashes.

const assert = require('node:assert/strict')
const { setMaxListeners } = require('node:events')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPath, temporaryPaths } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { agent, GOOD_END, holderOf, holderOfAll, script, Talker } = require('../support/processes.js')
const { Thread, THREAD } = require('../support/threads.js')
const { eventually, staysPending } = require('../support/waiting.js')

/** A wait of the main thread, which ends with the test at the latest. */
const waitFor = (t, file) => lockFile(file).acquire({ signal: t.signal })

// How a worker thread ends, and whether it can have waits pending then: by itself it does not end before they do.
const ENDINGS = [
  { how: 'ends by itself', end: (thread) => thread.say('end'), code: 0, waits: false },
  { how: 'calls process.exit()', end: (thread) => thread.say('exit', 3), code: 3, waits: true },
  { how: 'fails', end: (thread) => thread.say('fail'), code: 1, failure: 'on purpose', waits: true },
  { how: 'is terminated', end: (thread) => thread.terminate(), code: 1, waits: true },
]

for (const { how, end, code, failure, waits } of ENDINGS) {
  test(`a worker that ${how} releases what it holds and leaves the queues`, async (t) => {
    const [held, shared, awaited] = temporaryPaths(t, 'held', 'shared', 'awaited')
    const thread = new Thread(t, held)
    assert.equal(await thread.acquire(), 'acquired')
    assert.equal(await thread.acquire({ mode: 'shared' }, shared), 'acquired')
    const sharing = await lockFile(shared).acquire({ mode: 'shared' })
    const obstacle = await lockFile(awaited).acquire()
    if (waits) assert.equal(await thread.ask('acquire', undefined, awaited), 'waiting')

    const [next, alone, behind] = [held, shared, awaited].map((file) => waitFor(t, file))
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

/** A process that never loads the package: its workers do, wait for a lock with many waits each, and are terminated. */
const ALONE = `
  const { once } = require('node:events')
  const fs = require('node:fs')
  const { Worker } = require('node:worker_threads')
  const [thread, file, count] = process.argv.slice(1)
  const nameOf = (id) => {
    // It may have ended meanwhile.
    try { return fs.readFileSync('/proc/self/task/' + id + '/comm', 'utf8') } catch { return '' }
  }
  // The package's threads may outlive the worker that loaded it: then their code must, too.
  const checkCode = () => {
    if (process.platform !== 'linux') return
    const threads = fs.readdirSync('/proc/self/task').map(nameOf).filter((name) => name.startsWith('locket'))
    const mapped = /locket\\.[\\w-]+\\.node/.test(fs.readFileSync('/proc/self/maps', 'utf8'))
    if (threads.length > 0 && !mapped) throw new Error('threads without their code')
  }
  const main = async () => {
    for (let round = 0; round < 20; round++) {
      const worker = new Worker(thread, { workerData: { file } })
      worker.postMessage({ command: 'queueUp', options: { count: Number(count) } })
      console.log(...(await once(worker, 'message')))
      await worker.terminate()
      checkCode()
    }
    console.log(Object.keys(require.cache).filter((name) => name.endsWith('index.js')).length)
  }
  main()`

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

  test(`workers that alone have loaded the package can be terminated with ${count} waits pending`, async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = new Talker(t, process.execPath, ['-e', ALONE, THREAD, file, String(count)])
    assert.deepEqual(await child.rest(), [...Array(20).fill('waiting'), '0'])
    assert.deepEqual(await child.ended(), GOOD_END)
    lock.release()
    assert.equal(await isFree(file), true)
  })
}

test('terminate() with waits pending in more files than threads may wait in the kernel', async (t) => {
  const files = temporaryPaths(t, ...Array.from({ length: 400 }, (_, i) => `${i}.lock`))
  const holder = await holderOfAll(t, files)
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

test('terminate() at any instant leaves no lock and no place in the queue behind', async (t) => {
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
  const stranger = await holderOf(t, file)
  const terminates = async (where) => {
    const thread = new Thread(t, file)
    assert.equal(await thread.ask('acquireSync'), 'waiting')
    assert.ok(await staysPending(thread.exited, 100), where)
    await thread.terminate()
  }
  await terminates('first in the queue')
  const ahead = new Thread(t, file)
  assert.equal(await ahead.ask('acquire'), 'waiting')
  await terminates('behind another')
  await ahead.terminate()
  const next = waitFor(t, file)
  assert.ok(await staysPending(next))
  assert.equal(await stranger.ask('release'), 'released')
  const mine = await eventually(next, 'the lock')
  await terminates('behind a holder of this process')
  mine.release()
  assert.equal(await isFree(file), true)
})

test('process.exit() ends a process whose workers wait', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const source = `
    const { once } = require('node:events')
    const { Worker } = require('node:worker_threads')
    const [thread, file] = process.argv.slice(1)
    const ways = [{ command: 'acquireSync' }, { command: 'queueUp', options: { count: 100 } }, { command: 'acquire' }]
    const waits = ways.map((way) => {
      const worker = new Worker(thread, { workerData: { file } })
      worker.postMessage(way)
      return once(worker, 'message')
    })
    lockFile(file).acquire()
    Promise.all(waits).then((answers) => {
      console.log(answers.flat().join())
      process.stdin.once('data', () => process.exit(7))
    })`
  const child = script(t, source, [THREAD, file])
  assert.equal(await child.line(), 'waiting,waiting,waiting')
  child.say('exit')
  assert.deepEqual(await child.ended(), { ...GOOD_END, code: 7 })
  lock.release()
  assert.equal(await isFree(file), true)
})
