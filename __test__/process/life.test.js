'use strict'

// A lock and the life of the process that holds it or waits for it.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPath, temporaryPaths } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { GOOD_END, script, waiterOf } = require('../support/processes.js')
const { staysPending } = require('../support/waiting.js')

test('a pending acquire keeps the process alive, a held lock does not', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const source = `
    lockFile(process.argv[1]).acquire().then(() => console.log('acquired'))
    console.log('waiting')`
  const child = script(t, source, [file])
  assert.equal(await child.line(), 'waiting')
  assert.ok(await staysPending(child.exited, 100))
  lock.release()
  assert.equal(await child.line(), 'acquired')
  assert.deepEqual(await child.ended(), GOOD_END)
  assert.equal(await isFree(file), true)
})

test('a process ends when the last of its waits has been given up', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const source = `
    const say = (error) => console.log(error.code)
    const controller = new AbortController()
    lockFile(process.argv[1]).acquire({ timeout: 0 }).catch(say)
    lockFile(process.argv[1]).acquire({ timeout: 200 }).catch((error) => {
      say(error)
      lockFile(process.argv[1]).acquire({ signal: controller.signal }).catch(say)
      setTimeout(() => controller.abort(), 10)
    })`
  const child = script(t, source, [file])
  assert.deepEqual(await child.rest(), ['ERR_LOCK_TIMEOUT', 'ERR_LOCK_TIMEOUT', 'ABORT_ERR'])
  assert.deepEqual(await child.ended(), GOOD_END)
  lock.release()
})

test('a lock whose handle is garbage stays held until the process ends', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const source = `
    const collect = async (rounds, isDone) => {
      for (let round = 0; round < rounds && !isDone(); round++) {
        gc()
        await new Promise(setImmediate)
      }
    }
    const main = async () => {
      // The handle of a pending acquire is out of reach, too.
      let wait = lockFile(process.argv[1]).acquire()
      console.log('waiting')
      await collect(5, () => false)
      const handle = new WeakRef(await wait)
      wait = undefined
      console.log('acquired')
      // A look at the reference keeps the handle until the turn of the event loop is over.
      await new Promise(setImmediate)
      await collect(100, () => handle.deref() === undefined)
      // Its finalizers run some turns later.
      await collect(5, () => false)
      console.log(handle.deref() ?? 'collected')
      process.stdin.resume()
    }
    main()`
  const child = script(t, source, [file], { execArgv: ['--expose-gc'] })
  assert.equal(await child.line(), 'waiting')
  lock.release()
  assert.equal(await child.line(), 'acquired')
  assert.equal(await child.line(), 'collected')
  assert.equal(await isFree(file), false)
  const { acquired } = await waiterOf(t, file)
  child.end()
  assert.equal(await acquired, 'acquired')
})

// How a process ends after its first line of input, and what it is left with.
const ENDS = [
  { how: 'returns', source: '', code: 0 },
  { how: 'calls process.exit()', source: 'process.exit(3)', code: 3 },
  { how: 'throws', source: 'throw new Error("on purpose")', code: 1 },
  { how: 'leaves a rejection unhandled', source: 'Promise.reject(new Error("on purpose"))', code: 1 },
  { how: 'gets a SIGTERM', signal: 'SIGTERM' },
  { how: 'gets a SIGKILL', signal: 'SIGKILL' },
]

for (const { how, source, code = null, signal = null } of ENDS) {
  test(`a process that ${how} holds nothing any more`, async (t) => {
    const files = temporaryPaths(t, 'async', 'sync', 'shared')
    const holding = `
      const [a, b, c] = process.argv.slice(1)
      lockFile(b).acquireSync()
      Promise.all([lockFile(a).acquire(), lockFile(c).acquire({ mode: 'shared' })]).then(() => console.log('acquired'))
      process.stdin.once('data', () => {
        process.stdin.destroy()
        ${source}
      })`
    const child = script(t, holding, files)
    assert.equal(await child.line(), 'acquired')
    const waiters = await Promise.all(files.map((file) => waiterOf(t, file)))
    if (signal) await child.kill(signal)
    else child.say('end')
    const end = await child.ended()
    assert.deepEqual([end.code, end.signal], [code, signal])
    for (const { acquired } of waiters) assert.equal(await acquired, 'acquired')
  })
}

// With waits pending a process does not return.
for (const { how, source, code } of ENDS.filter((end) => end.code)) {
  test(`a process that ${how} with many waits pending ends with its code`, async (t) => {
    const files = temporaryPaths(t, ...Array.from({ length: 50 }, (_, i) => `${i}.lock`))
    const locks = await Promise.all(files.map((file) => lockFile(file).acquire()))
    const waiting = `
      for (let i = 0; i < 1000; i++) lockFile(process.argv[1 + (i % 50)]).acquire()
      Promise.all(process.argv.slice(1).map((file) => lockFile(file).isLocked())).then(() => console.log('waiting'))
      process.stdin.once('data', () => {
        ${source}
      })`
    const child = script(t, waiting, files)
    assert.equal(await child.line(), 'waiting')
    child.say('end')
    const end = await child.ended()
    assert.deepEqual([end.code, end.signal], [code, null])
    for (const lock of locks) lock.release()
    for (const file of files) assert.equal(await isFree(file), true)
  })
}
