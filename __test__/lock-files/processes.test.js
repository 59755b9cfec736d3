'use strict'

// Several processes and threads, each with several of the same files: no deadlock, no overlap, and nothing is left of the dead.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { lockFiles } = require('../..')
const { ROOT, temporaryFolder } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { GOOD_END, holderOf, outcomeOf, run, Talker } = require('../support/processes.js')
const { needing, onLinux, onUnix } = require('../support/systems.js')
const { waitsInKernel } = require('../support/kernel.js')
const { eventually, staysPending, until } = require('../support/waiting.js')
const { filesInOrder, group, heldPaths, isPending } = require('./files.js')

const STORM = path.join(__dirname, 'storm.js')

test('a storm of groups by several processes and threads ends, and nobody meets another one', async (t) => {
  const folder = temporaryFolder(t)
  fs.mkdirSync(path.join(folder, 'marks'))
  fs.mkdirSync(path.join(folder, 'far'))
  for (let name = 0; name < 5; name++) {
    const file = path.join(folder, String(name))
    fs.writeFileSync(file, '')
    fs.linkSync(file, `${file}.hard`)
    fs.symlinkSync(String(name), `${file}.soft`)
    fs.symlinkSync(`${file}.soft`, `${file}.far`)
  }
  const processes = Array.from({ length: 4 }, () => run(t, STORM, [folder, '150']))
  const threads = Array.from({ length: 2 }, () => new Worker(STORM, { workerData: [folder, '150'], stdout: true }))
  const ends = threads.map(
    (thread) =>
      new Promise((resolve, reject) => {
        thread.on('error', reject)
        thread.on('exit', resolve)
      }),
  )
  t.after(() => Promise.all(threads.map((thread) => thread.terminate())))
  for (const each of processes) {
    assert.equal(await each.line(), 'done')
    assert.deepEqual(await each.ended(), GOOD_END)
  }
  assert.deepEqual(await eventually(Promise.all(ends), 'the end of the threads'), [0, 0])
  assert.deepEqual(fs.readdirSync(path.join(folder, 'marks')), [])
})

test('two processes that name the same files in opposite orders take turns', async (t) => {
  const files = filesInOrder(t, 3)
  const groups = [group(t, files), group(t, files.toReversed())]
  for (let i = 0; i < 100; i++) {
    const turns = groups.map((each) => each.ask(i % 3 === 0 ? 'sync' : 'acquire'))
    const first = await eventually(Promise.race(turns.map((turn, index) => turn.then(() => index))), 'a turn')
    assert.equal(await groups[first].ask('release'), 'done')
    assert.equal(await eventually(turns[1 - first], 'the other turn'), 'done')
    assert.equal(await groups[1 - first].ask('release'), 'done')
  }
})

test('of a process that is killed while it holds files or waits for them, nothing is left', onLinux, async (t) => {
  const files = filesInOrder(t, 4)
  for (const way of ['acquire', 'sync']) {
    const full = group(t, files)
    assert.equal(await full.ask(way), 'done')
    const next = lockFiles(files.toReversed()).acquire()
    assert.ok(await staysPending(next))
    await full.kill()
    ;(await eventually(next, 'all locks')).release()
    for (const [index, file] of files.entries()) {
      const holder = await holderOf(t, file)
      const waiting = group(t, files)
      waiting.say(way)
      await waitsInKernel(waiting)
      for (const [other, each] of files.entries())
        assert.equal(await isFree(each), other > index, `${other} of ${index}`)
      await waiting.kill()
      await until(() => isFree(files[0]).then((free) => free || index === 0), 'the first file')
      assert.equal(await holder.ask('release'), 'released')
      const locks = lockFiles(files)
      assert.equal(await locks.tryAcquire(), true)
      locks.release()
      await holder.kill()
    }
  }
})

test('a file that may not be opened leaves nothing held, at each position', onUnix, async (t) => {
  const files = filesInOrder(t, 3)
  fs.chmodSync(path.dirname(files[0]), 0o755)
  // The superuser may open every file.
  const asOther = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {}
  for (const file of files) {
    fs.chmodSync(file, 0)
    const poor = group(t, files, {}, asOther)
    for (const way of ['acquire', 'sync', 'try']) assert.equal(await poor.ask(way), 'EACCES')
    for (const each of files.filter((other) => other !== file)) assert.equal(await isFree(each), true)
    fs.chmodSync(file, 0o644)
    assert.equal(await poor.ask('try'), 'true')
    await poor.kill()
  }
})

test('a worker thread that ends gives back what it holds, and what it has got so far', async (t) => {
  const files = filesInOrder(t, 3)
  const source = `
    const { lockFiles } = require(${JSON.stringify(ROOT)})
    const { parentPort, workerData } = require('node:worker_threads')
    const { files, way } = workerData
    parentPort.on('message', () => process.exit())
    if (way === 'acquireSync') lockFiles(files).acquireSync()
    lockFiles(files).acquire().then(() => parentPort.postMessage('acquired'))`
  for (const [way, end] of [
    ['acquire', (worker) => worker.terminate()],
    ['acquire', (worker) => worker.postMessage('exit')],
    ['acquireSync', (worker) => worker.terminate()],
  ]) {
    for (const file of [undefined, ...files]) {
      if (file === undefined && way === 'acquireSync') continue
      const holder = file && (await holderOf(t, file))
      const worker = new Worker(source, { eval: true, workerData: { files, way } })
      const exited = new Promise((resolve) => worker.on('exit', resolve))
      if (file === undefined) await new Promise((resolve) => worker.once('message', resolve))
      else await isPending(file)
      end(worker)
      await eventually(exited, 'the end of the thread')
      await holder?.kill()
      await until(() => heldPaths().length === 0, 'nothing is held')
      const locks = lockFiles(files)
      assert.equal(await locks.tryAcquire(), true)
      locks.release()
    }
  }
})

test('a file that flock(1) holds is waited for, and flock(1) waits for one of a group', needing('flock'), async (t) => {
  const files = filesInOrder(t, 3)
  for (const file of files) {
    const flock = new Talker(t, 'flock', [file, 'sh', '-c', 'echo locked; read line'])
    assert.equal(await flock.line(), 'locked')
    const locks = lockFiles(files)
    assert.equal(await locks.tryAcquire(), false)
    const wait = locks.acquire()
    await isPending(file)
    flock.say('')
    await eventually(wait, 'the locks')
    for (const each of files) assert.equal(outcomeOf('flock', ['-n', each, 'true']).code, 1)
    locks.release()
    assert.equal(outcomeOf('flock', ['-n', file, 'true']).code, 0)
  }
})

test('locks by existence are acquired together too, in any order of their names', async (t) => {
  const files = filesInOrder(t, 3)
  for (const options of [{ protocol: 'proper-lockfile' }, { protocol: 'mkdir' }]) {
    const groups = [group(t, files, options), group(t, files.toReversed(), options)]
    const entries = () => fs.readdirSync(path.dirname(files[0])).filter((name) => name.endsWith('.lock.lock'))
    for (let i = 0; i < 10; i++) {
      const turns = groups.map((each) => each.ask('acquire'))
      const first = await eventually(Promise.race(turns.map((turn, index) => turn.then(() => index))), 'a turn')
      assert.equal(entries().length, files.length)
      assert.equal(await groups[first].ask('release'), 'done')
      assert.equal(await eventually(turns[1 - first], 'the other turn'), 'done')
      assert.equal(await groups[1 - first].ask('release'), 'done')
    }
    const locks = await lockFiles(files, options).acquire()
    const { lost } = locks
    assert.equal(locks.held, true)
    const fires = new Promise((resolve) => lost.addEventListener('abort', resolve))
    fs.rmSync(`${files[1]}.lock`, { recursive: true })
    await eventually(fires, 'the loss of one of them')
    assert.deepEqual([lost.reason.code, lost.reason.path], ['ERR_LOCK_LOST', files[1]])
    assert.equal(locks.held, false)
    assert.throws(() => locks.release(), { code: 'ERR_LOCK_LOST', path: files[1] })
    assert.equal(locks.lost, lost)
    // The others have been released.
    assert.deepEqual(entries(), [])
    await locks.acquire()
    assert.equal(locks.held, true)
    assert.equal(locks.lost.aborted, false)
    locks.release()
  }
})
