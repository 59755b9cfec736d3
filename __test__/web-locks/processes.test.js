'use strict'

// Locks of a LockManager between processes and worker threads.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { LockManager } = require('../..')
const { temporaryFolder } = require('../support/folders.js')
const { GOOD_END } = require('../support/processes.js')
const { eventually, staysPending } = require('../support/waiting.js')
const {
  Thread,
  folderOf,
  hold,
  holderOf,
  isAvailable,
  isEmptied,
  managing,
  newFolder,
  newManager,
} = require('./locks.js')

test('a lock that another process holds is waited for, and is not available', async (t) => {
  const folder = newFolder(t)
  const manager = new LockManager(folder)
  for (const name of ['a', 'Long '.repeat(100), '']) {
    const held = await hold(t, manager, name)
    const source = `
      const name = ${JSON.stringify(name)}
      manager.request(name, { ifAvailable: true }, (lock) => say(lock)).then(() => {
        manager.request(name, { mode: 'shared' }, (lock) => say(lock.mode))
        say('waiting')
      })`
    const other = managing(t, folder, source)
    assert.deepEqual([await other.line(), await other.line()], ['null', '"waiting"'])
    const granted = other.line()
    assert.ok(await staysPending(granted))
    held.release()
    assert.equal(await granted, '"shared"')
    await other.kill()
  }
})

test('shared locks are shared by processes', async (t) => {
  const folder = newFolder(t)
  await holderOf(t, folder, 'a', { mode: 'shared' })
  const manager = new LockManager(folder)
  assert.equal(await isAvailable(manager, 'a', { mode: 'shared' }), true)
  assert.equal(await isAvailable(manager, 'a'), false)
})

test('the lock of a killed process is granted to one that waits', async (t) => {
  const folder = newFolder(t)
  const manager = new LockManager(folder)
  const holder = await holderOf(t, folder, 'a')
  const waiting = manager.request('a', () => 'granted')
  assert.ok(await staysPending(waiting))
  await holder.kill()
  assert.equal(await eventually(waiting, 'the lock'), 'granted')
  await isEmptied(folder)
})

test('the lock of a terminated thread is granted to one that waits', async (t) => {
  const manager = newManager(t)
  const thread = new Thread(t, folderOf(manager))
  assert.equal(await thread.ask('hold', 'a'), 'held')
  const waiting = manager.request('a', () => 'granted')
  assert.equal(await isAvailable(manager, 'a'), false)
  await thread.terminate()
  assert.equal(await eventually(waiting, 'the lock'), 'granted')
  await isEmptied(folderOf(manager))
})

test('threads lose no update of what a lock protects', async (t) => {
  const manager = newManager(t)
  const counter = new Int32Array(new SharedArrayBuffer(4))
  const threads = Array.from({ length: 3 }, () => new Thread(t, folderOf(manager)))
  const times = 200
  const answers = await Promise.all(threads.map((thread) => thread.ask('count', 'a', { counter, times })))
  assert.deepEqual(answers, ['done', 'done', 'done'])
  assert.equal(counter[0], threads.length * times)
})

test('processes that use the same few names, whose files come and go, lose no update of what these protect', async (t) => {
  const folder = newFolder(t)
  const data = temporaryFolder(t)
  const [names, rounds] = [4, 150]
  for (let i = 0; i < names; i++) fs.writeFileSync(path.join(data, String(i)), '0')
  const source = `
    const fs = require('node:fs')
    const count = (i) => manager.request('Name ' + i, async () => {
      const file = ${JSON.stringify(data)} + '/' + i
      const before = Number(fs.readFileSync(file))
      await new Promise(setImmediate)
      fs.writeFileSync(file, String(before + 1))
    })
    async function main() {
      for (let round = 0; round < ${rounds}; round++) {
        await count(round % ${names})
        // Long enough for others, and sometimes for the file to go.
        if (round % 10 === 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
      }
      process.stdin.destroy()
    }
    main()`
  const processes = Array.from({ length: 4 }, () => managing(t, folder, source))
  for (const each of processes) assert.deepEqual(await each.ended(), GOOD_END)
  const counts = Array.from({ length: names }, (_, i) => Number(fs.readFileSync(path.join(data, String(i)))))
  assert.equal(
    counts.reduce((a, b) => a + b),
    processes.length * rounds,
  )
  assert.deepEqual(fs.readdirSync(folder), [])
})

test('a pending request keeps the process alive, a held lock does not', async (t) => {
  const folder = newFolder(t)
  const held = await hold(t, new LockManager(folder), 'a')
  const waiter = managing(
    t,
    folder,
    `manager.request('a', () => say('granted')); process.stdin.destroy(); say('waiting')`,
  )
  assert.equal(await waiter.line(), '"waiting"')
  assert.ok(await staysPending(waiter.exited, 100))
  held.release()
  assert.equal(await waiter.line(), '"granted"')
  assert.deepEqual(await waiter.ended(), GOOD_END)
  const holder = managing(t, folder, `hold('a').then(() => process.stdin.destroy())`)
  assert.deepEqual(await holder.ended(), GOOD_END)
  assert.deepEqual(fs.readdirSync(folder), [])
})
