'use strict'

// Turns between processes, while one of them has requests all the time.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { script } = require('../support/processes.js')
const { isPaced } = require('../support/systems.js')
const { eventually, until } = require('../support/waiting.js')

const inKernel = { skip: isPaced && 'the kernel is fair to those who wait there' }

/**
 * A process that holds the lock all the time, with so many loops. It says "in"; told a line, it counts its holds, says "enough"
 * at ENOUGH, and at the next line ends with the number.
 */
const LOOPS = `
  const [file, loops, enough] = process.argv.slice(1)
  let turns
  let busy = true
  let isIn = false
  // Held for a turn of the event loop, so that all others are in the queue again by then.
  const hold = () => {
    if (!isIn) console.log('in')
    isIn = true
    if (++turns === Number(enough)) console.log('enough')
    return new Promise(setImmediate)
  }
  const loop = async () => { while (busy) await lockFile(file).run(hold) }
  process.stdin.once('data', () => {
    turns = 0
    process.stdin.once('data', () => { busy = false })
  })
  Promise.all(Array.from({ length: Number(loops) }, loop)).then(() => { console.log(turns); process.exit(0) })`

test('a process with waiters without end lets another process have its turn', inKernel, async (t) => {
  const file = temporaryPath(t)
  // So many that the queue cannot run dry while a thread is held up.
  const other = script(t, LOOPS, [file, '2000', '0'])
  assert.equal(await other.line(), 'in')
  for (let i = 0; i < 20; i++) (await eventually(lockFile(file).acquire(), 'our turn')).release()
})

for (const [how, loop] of Object.entries({
  // By one handle: no event loop runs that would free others, and the process would run out of memory.
  synchronously: 'kept.acquireSync(); tell(); kept.release()',
  asynchronously: 'const lock = await lockFile(file).acquire(); tell(); lock.release()',
})) {
  test(
    `a process that acquires and releases ${how} all the time lets another process have its turn`,
    inKernel,
    async (t) => {
      const file = temporaryPath(t)
      const source = `
      const file = process.argv[1]
      const kept = lockFile(file)
      let turns = 0
      // The file stays open by then, where it may.
      const tell = () => { if (++turns === 100) console.log('going') }
      const loop = async () => { for (;;) { ${loop} } }
      loop()`
      const other = script(t, source, [file])
      assert.equal(await other.line(), 'going')
      for (let i = 0; i < 20; i++) {
        const lock = await eventually(lockFile(file).acquire(), 'our turn')
        // So that the other is on its own for as long as it takes to think so.
        await new Promise((resolve) => setTimeout(resolve, lock.release() ?? 5))
      }
    },
  )
}

test('two processes with many waiters each share the turns', inKernel, async (t) => {
  const file = temporaryPath(t)
  // So many that it does not matter when which of them has the processor.
  const processes = [1, 2].map(() => script(t, LOOPS, [file, '10', '5000']))
  for (const process of processes) assert.equal(await process.line(), 'in')
  for (const process of processes) process.say('count')
  await Promise.all(processes.map(async (process) => assert.equal(await process.line(), 'enough')))
  for (const process of processes) process.say('stop')
  const turns = []
  for (const process of processes) turns.push(Number(await process.line()))
  assert.ok(Math.min(...turns) > Math.max(...turns) / 10, `${turns}`)
})

test('shared holds of one process that overlap all the time let an exclusive request of another process in', async (t) => {
  const file = temporaryPath(t)
  const source = `
    const hold = () => new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 5))
    const read = async () => { for (;;) await lockFile(process.argv[1]).run(hold, { mode: 'shared' }) }
    for (let i = 0; i < 4; i++) read()
    setTimeout(() => console.log('reading'), 100)`
  const readers = script(t, source, [file])
  assert.equal(await readers.line(), 'reading')
  for (let i = 0; i < 3; i++) {
    const lock = await eventually(lockFile(file).acquire(), 'the lock')
    lock.release()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
})

test('a shared hold that stays does not lock out others of its own process, however many join it', async (t) => {
  const file = temporaryPath(t)
  const held = await lockFile(file).acquire({ mode: 'shared' })
  for (let i = 0; i < 100; i++) {
    await lockFile(file).run(() => {}, { mode: 'shared' })
    assert.equal(await lockFile(file).tryAcquire({ mode: 'shared' }), true)
    lockFile(file).acquireSync({ mode: 'shared' }).release()
  }
  held.release()
})

/** A file that a shared hold keeps, which so many requests have joined that the next one waits. */
async function drained(t) {
  const file = temporaryPath(t)
  const shared = { mode: 'shared' }
  await lockFile(file).acquire(shared)
  for (let i = 0; i < 63; i++) (await lockFile(file).acquire(shared)).release()
  return { file, shared }
}

test('shared waits that time out do not put off the end of the time for which a shared hold keeps others out', async (t) => {
  const { file, shared } = await drained(t)
  const isIn = () =>
    lockFile(file)
      .acquire({ ...shared, timeout: 300 })
      .then(
        (lock) => lock.release() ?? true,
        () => false,
      )
  await until(isIn, 'a shared lock')
})

test('a shared try joins a shared hold, also while a shared request waits', async (t) => {
  const { file, shared } = await drained(t)
  const wait = lockFile(file).acquire(shared)
  assert.equal(lockFile(file).tryAcquireSync(shared), true)
  assert.equal(await lockFile(file).tryAcquire(shared), true)
  await wait
})
