'use strict'

// Rules 2 and 3: locked or unlocked; first come, first served.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const { lockFile } = require('..')
const { agent, allInLine, eventually, isFree, script, staysPending, temporaryPath } = require('./support.js')

test('acquiring what this very handle holds waits until it is released', async (t) => {
  const lock = lockFile(temporaryPath(t))
  await lock.acquire()
  const again = lock.acquire()
  assert.ok(await staysPending(again))
  assert.equal(await lock.tryAcquire(), false)
  lock.release()
  assert.equal(await again, lock)
  assert.equal(lock.held, true)
  lock.release()
  assert.equal(lock.held, false)
})

test('a handle holds at most one shared acquisition', async (t) => {
  const lock = lockFile(temporaryPath(t), { mode: 'shared' })
  await lock.acquire()
  const again = lock.acquire()
  assert.ok(await staysPending(again))
  assert.equal(await lock.tryAcquire(), false)
  lock.release()
  await again
  lock.release()
  assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
})

test('the handle that waits for its own shared acquisition holds up those behind it', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file, { mode: 'shared' })
  await lock.acquire()
  const again = lock.acquire()
  await allInLine(file)
  const behind = lockFile(file, { mode: 'shared' }).acquire()
  assert.ok(await staysPending(behind))
  lock.release()
  await again
  const other = await behind
  lock.release()
  other.release()
})

test('a handle whose file was replaced while it holds still holds one acquisition', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  await lock.acquire()
  fs.rmSync(file)
  const again = lock.acquire()
  assert.ok(await staysPending(again))
  assert.equal(await lock.tryAcquire(), false)
  lock.release()
  await again
  assert.ok(fs.existsSync(file), 'the next acquisition is of the file that the path names')
  assert.equal(await isFree(file), false)
  lock.release()
})

test('waiters get the lock in the order of their calls', async (t) => {
  const file = temporaryPath(t)
  const order = []
  const waits = []
  const shared = lockFile(file)
  for (let i = 0; i < 500; i++) {
    // Some by one handle, some by their own; the first of them while the file is not even open.
    const lock = i % 3 === 0 ? lockFile(file) : shared
    waits.push(lock.run(() => order.push(i)))
  }
  await Promise.all(waits)
  assert.deepEqual(
    order,
    waits.map((_, i) => i),
  )
})

test('shared requests that follow each other are let in together, and no exclusive one with them', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const shared = [1, 2, 3].map(() => lockFile(file).acquire({ mode: 'shared' }))
  await allInLine(file)
  const exclusive = lockFile(file).acquire()
  await allInLine(file)
  const late = lockFile(file).acquire({ mode: 'shared' })
  holder.release()
  const together = await Promise.all(shared)
  assert.ok(together.every((lock) => lock.held))
  assert.ok(await staysPending(exclusive))
  assert.ok(await staysPending(late))
  for (const lock of together) lock.release()
  const alone = await exclusive
  assert.ok(await staysPending(late))
  alone.release()
  const last = await late
  last.release()
})

test('nobody overtakes a waiter, by trying neither', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire({ mode: 'shared' })
  const waiter = lockFile(file).acquire()
  await allInLine(file)
  const shared = lockFile(file, { mode: 'shared' })
  assert.equal(await shared.tryAcquire(), false)
  assert.equal(shared.tryAcquireSync(), false)
  await assert.rejects(shared.acquire({ timeout: 5 }), { code: 'ERR_LOCK_TIMEOUT' })
  holder.release()
  const lock = await waiter
  lock.release()
  assert.equal(await shared.tryAcquire(), true)
  shared.release()
})

test('shared holders of two processes hold together, and an exclusive one waits for both', async (t) => {
  const file = temporaryPath(t)
  const other = agent(t, file)
  assert.equal(await other.ask('try {"mode":"shared"}'), 'true')
  const ours = await lockFile(file).acquire({ mode: 'shared', timeout: 0 })
  const exclusive = lockFile(file).acquire()
  assert.ok(await staysPending(exclusive))
  ours.release()
  assert.ok(await staysPending(exclusive))
  assert.equal(await other.ask('release'), 'released')
  const lock = await exclusive
  assert.equal(await other.ask('try {"mode":"shared"}'), 'false')
  lock.release()
})

test('a process that holds exclusively and lets its own shared waiters in lets those of others in too', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const wait = lockFile(file).acquire({ mode: 'shared' })
  await allInLine(file)
  holder.release()
  const shared = await wait
  const other = agent(t, file)
  assert.equal(await other.ask('try {"mode":"shared"}'), 'true')
  shared.release()
})

test('a process with waiters of its own without end lets another process have its turn', async (t) => {
  if (process.env.LOCKET_WAIT === 'paced') return t.skip('the kernel is fair to those who wait there')
  const file = temporaryPath(t)
  const other = script(
    t,
    `
    const lock = lockFile(process.argv[1])
    let busy = true
    // Held for a turn of the event loop, so that all others are in line again by then.
    const hold = () => new Promise(setImmediate)
    const loop = async () => { while (busy) await lockFile(process.argv[1]).run(hold) }
    // So many that the line cannot run dry while a thread is held up.
    Promise.all(Array.from({ length: 2000 }, loop)).then(() => process.exit(0))
    lock.run(() => console.log('busy'))
    process.stdin.on('data', () => { busy = false })
    `,
    [file],
  )
  assert.equal(await other.line(), 'busy')
  for (let i = 0; i < 20; i++) {
    const lock = await eventually(lockFile(file).acquire(), 'our turn')
    lock.release()
  }
  other.say('stop')
  assert.equal((await eventually(other.exited, 'the end')).code, 0)
})

test('two processes with many waiters each share the turns', async (t) => {
  if (process.env.LOCKET_WAIT === 'paced') return t.skip('the kernel is fair to those who wait there')
  const file = temporaryPath(t)
  // So many that it does not matter when which of them has the processor.
  const ENOUGH = 5000
  const source = `
    let turns
    let busy = true
    let isIn = false
    const hold = () => {
      if (!isIn) console.log('in')
      isIn = true
      if (++turns === ${ENOUGH}) console.log('enough')
      return new Promise(setImmediate)
    }
    const loop = async () => { while (busy) await lockFile(process.argv[1]).run(hold) }
    process.stdin.once('data', () => {
      turns = 0
      process.stdin.once('data', () => { busy = false })
    })
    Promise.all(Array.from({ length: 10 }, loop)).then(() => { console.log(turns); process.exit(0) })
  `
  const processes = [script(t, source, [file]), script(t, source, [file])]
  for (const process of processes) assert.equal(await process.line(), 'in')
  for (const process of processes) process.say('count')
  await Promise.all(processes.map(async (process) => assert.equal(await process.line(), 'enough')))
  for (const process of processes) process.say('stop')
  const turns = []
  for (const process of processes) turns.push(Number(await process.line()))
  assert.ok(Math.min(...turns) > Math.max(...turns) / 10, `${turns}`)
})

test('a synchronous wait stands in the same line', async (t) => {
  const file = temporaryPath(t)
  const holder = agent(t, file)
  assert.equal(await holder.ask('try'), 'true')
  const first = lockFile(file).acquire()
  const sync = lockFile(file)
  // Behind `first`, which cannot let go while this thread is blocked: so it is never this one's turn.
  assert.throws(() => sync.acquireSync({ timeout: 20 }), { code: 'ERR_LOCK_TIMEOUT' })
  holder.say('release')
  const lock = await first
  assert.equal(sync.tryAcquireSync(), false)
  lock.release()
  assert.equal(sync.acquireSync(), sync)
  sync.release()
})
