'use strict'

// steal: from the same thread, from another one, and not from another process.

const assert = require('node:assert/strict')
const diagnostics = require('node:diagnostics_channel')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { LockManager } = require('../..')
const { onUnix } = require('../support/systems.js')
const { staysPending } = require('../support/waiting.js')
const {
  Thread,
  folderOf,
  hold,
  holderOf,
  isAvailable,
  isEmptied,
  newFolder,
  newManager,
  rejectsWith,
} = require('./locks.js')

const never = () => assert.fail('the callback was called')
const steal = { steal: true }

test('a free lock is granted', async (t) => {
  const manager = newManager(t)
  assert.deepEqual(await manager.request('a', steal, ({ name, mode }) => [name, mode]), ['a', 'exclusive'])
  await isEmptied(folderOf(manager))
})

test("the holder's request is rejected at once, while its callback goes on and can do no harm", async (t) => {
  const manager = newManager(t)
  for (const name of ['a', 'b'.repeat(200)]) {
    const stolen = await hold(t, manager, name)
    const thief = await hold(t, manager, name, steal)
    await rejectsWith(stolen.request, 'AbortError')
    // Its end releases nothing.
    stolen.release()
    await new Promise(setImmediate)
    assert.equal(await isAvailable(manager, name), false)
    thief.release('mine')
    assert.equal(await thief.request, 'mine')
    assert.equal(await isAvailable(manager, name), true)
  }
})

test('all holders of a shared lock lose it', async (t) => {
  const manager = newManager(t)
  const shared = { mode: 'shared' }
  const stolen = [await hold(t, manager, 'a', shared), await hold(t, manager, 'a', shared)]
  const thief = await hold(t, manager, 'a', steal)
  for (const { request } of stolen) await rejectsWith(request, 'AbortError')
  thief.release()
  await thief.request
})

test('requests that wait stay, and have their turn after the thief', async (t) => {
  const manager = newManager(t)
  const stolen = await hold(t, manager, 'a')
  const order = []
  const waiting = [1, 2].map((number) => manager.request('a', () => order.push(number)))
  await Promise.all([manager.request('a', steal, () => order.push('thief')), rejectsWith(stolen.request, 'AbortError')])
  await Promise.all(waiting)
  assert.deepEqual(order, ['thief', 1, 2])
})

test('the last of many thieves wins', async (t) => {
  const manager = newManager(t)
  const thieves = []
  for (let i = 0; i < 50; i++) thieves.push(await hold(t, manager, 'a', steal))
  const last = thieves.pop()
  for (const { request } of thieves) await rejectsWith(request, 'AbortError')
  last.release('last')
  assert.equal(await last.request, 'last')
  assert.equal(await isAvailable(manager, 'a'), true)
})

test('thieves at the same time leave one holder, and the lock free in the end', async (t) => {
  const manager = newManager(t)
  for (let round = 0; round < 20; round++) {
    let called = 0
    const thieves = Array.from({ length: 10 }, () =>
      manager.request('a', steal, async () => {
        called++
        await new Promise(setImmediate)
        return 'kept'
      }),
    )
    const outcomes = await Promise.allSettled(thieves)
    const kept = outcomes.filter(({ value }) => value === 'kept').length
    const stolen = outcomes.filter(({ reason }) => reason?.name === 'AbortError').length
    assert.ok(kept >= 1 && called >= kept, `${kept} of ${called}`)
    assert.equal(kept + stolen, thieves.length)
    assert.equal(await isAvailable(manager, 'a'), true)
  }
})

test('a lock that is stolen is told on the channel of releases at once, and only once', async (t) => {
  const manager = newManager(t)
  const told = []
  const acquired = ({ path, acquisition }) => told.push(['acquired', path, acquisition])
  const released = ({ path, acquisition }) => told.push(['released', path, acquisition])
  const channel = diagnostics.tracingChannel('locket.acquire')
  channel.subscribe({ asyncEnd: acquired })
  diagnostics.subscribe('locket.release', released)
  t.after(() => {
    channel.unsubscribe({ asyncEnd: acquired })
    diagnostics.unsubscribe('locket.release', released)
  })
  const stolen = await hold(t, manager, 'a')
  const thief = await hold(t, manager, 'a', steal)
  await rejectsWith(stolen.request, 'AbortError')
  const [first, second] = told.filter(([what]) => what === 'acquired').map(([, , acquisition]) => acquisition)
  assert.ok(first > 0 && second > 0 && first !== second)
  const file = path.join(folderOf(manager), 'lock-a')
  const releases = () => told.filter(([what]) => what === 'released').map(([, ...rest]) => rest)
  assert.deepEqual(releases(), [[file, first]])
  stolen.release()
  thief.release()
  await thief.request
  assert.deepEqual(releases(), [
    [file, first],
    [file, second],
  ])
})

test('another thread loses its lock, too', async (t) => {
  const manager = newManager(t)
  const thread = new Thread(t, folderOf(manager))
  thread.say('holdUntilLost', 'a')
  assert.equal(await thread.answer(), 'held')
  await hold(t, manager, 'a', steal)
  assert.equal(await thread.answer(), 'AbortError')
  assert.equal(await isAvailable(manager, 'a'), false)
})

test('a thread whose callback ends before the thread is told of the loss is rejected all the same', async (t) => {
  const manager = newManager(t)
  const thread = new Thread(t, folderOf(manager))
  thread.say('holdBusy', 'a')
  assert.equal(await thread.answer(), 'held')
  const thief = await hold(t, manager, 'a', steal)
  thread.go()
  assert.equal(await thread.answer(), 'AbortError')
  assert.equal(await isAvailable(manager, 'a'), false)
  thief.release()
  await thief.request
  assert.equal(await thread.ask('request', 'a'), 'granted')
})

test('a callback that fails before its thread hears of the theft does not fail the next request of that thread', async (t) => {
  const manager = newManager(t)
  const thread = new Thread(t, folderOf(manager))
  thread.say('failBusy', 'a')
  assert.equal(await thread.answer(), 'held')
  const thief = await hold(t, manager, 'a', steal)
  thread.go()
  assert.equal(await thread.answer(), 'waiting')
  thief.release()
  assert.equal(await thread.answer(), 'granted')
})

test('a lock that this process shares with another one is not stolen, and stays held', async (t) => {
  const folder = newFolder(t)
  const manager = new LockManager(folder)
  const shared = { mode: 'shared' }
  await holderOf(t, folder, 'a', shared)
  const own = await hold(t, manager, 'a', shared)
  const error = await rejectsWith(manager.request('a', steal, never), 'NotSupportedError')
  assert.match(error.message, /^Another process holds the lock/)
  own.release('kept')
  assert.equal(await own.request, 'kept')
})

test(
  'a file that another process holds is not stolen, although this process holds the one that was deleted',
  onUnix,
  async (t) => {
    const folder = newFolder(t)
    const manager = new LockManager(folder)
    const old = await hold(t, manager, 'a')
    fs.rmSync(folder, { recursive: true })
    await holderOf(t, folder, 'a')
    await rejectsWith(manager.request('a', steal, never), 'NotSupportedError')
    old.release('kept')
    assert.equal(await old.request, 'kept')
  },
)

test('from another process nothing is stolen, and what waits for it goes on waiting', async (t) => {
  const folder = newFolder(t)
  const manager = new LockManager(folder)
  const holder = await holderOf(t, folder, 'a')
  const waiting = manager.request('a', () => 'granted')
  for (let i = 0; i < 3; i++) {
    const error = await rejectsWith(manager.request('a', steal, never), 'NotSupportedError')
    assert.match(error.message, /^Another process holds the lock/)
  }
  assert.ok(await staysPending(waiting))
  await holder.kill()
  assert.equal(await waiting, 'granted')
  assert.equal(await manager.request('a', steal, () => 'free'), 'free')
})
