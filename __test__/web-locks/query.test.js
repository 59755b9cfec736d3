'use strict'

// query(): what this process holds and waits for, and what other processes do.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { threadId } = require('node:worker_threads')

const { LockManager, lockFile } = require('../..')
const { onLinux } = require('../support/systems.js')
const { eventually, until } = require('../support/waiting.js')
const { Thread, folderOf, hold, holderOf, managing, newFolder, newManager } = require('./locks.js')

const NOTHING = { held: [], pending: [] }
const OWN = `${process.pid}-${threadId}`
const LONG = 'A long name: '.repeat(50)

const info = (name, mode = 'exclusive', clientId = OWN) => ({ name, mode, clientId })

/** In an order that does not depend on time. */
const sorted = (infos) => infos.map((each) => JSON.stringify(each)).sort()

describe('of this process', () => {
  test('nothing is held and nothing pending at first, and no folder is made', async (t) => {
    const manager = newManager(t)
    assert.deepEqual(await manager.query(), NOTHING)
    assert.equal(require('node:fs').existsSync(folderOf(manager)), false)
  })

  test('held locks and pending requests are told, the requests of a name in their order', async (t) => {
    const manager = newManager(t)
    const shared = { mode: 'shared' }
    const first = await hold(t, manager, 'a')
    const others = [await hold(t, manager, LONG, shared), await hold(t, manager, LONG, shared)]
    const requests = [
      manager.request('a', shared, () => {}),
      manager.request(LONG, () => {}),
      manager.request('a', () => {}),
      manager.request('a', shared, () => {}),
    ]
    const { held, pending } = await manager.query()
    assert.deepEqual(sorted(held), sorted([info('a'), info(LONG, 'shared'), info(LONG, 'shared')]))
    assert.deepEqual(
      pending.filter(({ name }) => name === 'a'),
      [info('a', 'shared'), info('a'), info('a', 'shared')],
    )
    assert.deepEqual(
      pending.filter(({ name }) => name === LONG),
      [info(LONG)],
    )
    first.release()
    for (const other of others) other.release()
    await Promise.all(requests)
    assert.deepEqual(await manager.query(), NOTHING)
  })

  test('a request that can be granted counts as held, not as pending, however new it is', async (t) => {
    for (const name of ['a', LONG]) {
      const manager = newManager(t)
      const holds = [hold(t, manager, name), hold(t, manager, name)]
      // Its folder is being made, too.
      assert.deepEqual(await manager.query(), { held: [info(name)], pending: [info(name)] })
      const first = await holds[0]
      for (let i = 0; i < 3; i++) holds.push(hold(t, manager, name, { mode: 'shared' }))
      first.release()
      await first.request
      const second = await holds[1]
      second.release()
      await second.request
      const shared = info(name, 'shared')
      assert.deepEqual(await manager.query(), { held: [shared, shared, shared], pending: [] })
    }
  })

  test('requests that have been refused, aborted or timed out are not told', async (t) => {
    const manager = newManager(t)
    await hold(t, manager, 'a')
    const controller = new AbortController()
    const waits = [
      manager.request('a', { ifAvailable: true }, () => {}),
      manager.request('a', { timeout: 5 }, () => {}),
      manager.request('a', { signal: controller.signal }, () => {}),
    ]
    controller.abort()
    await Promise.allSettled(waits)
    assert.deepEqual(await manager.query(), { held: [info('a')], pending: [] })
  })

  test('locks of other folders, and of other files in the folder, are not told', async (t) => {
    const manager = newManager(t)
    await hold(t, manager, 'a')
    await hold(t, newManager(t), 'a')
    await hold(t, new LockManager(`${folderOf(manager)}/below`), 'a')
    await hold(t, new LockManager(`${folderOf(manager)}2`), 'a')
    const other = await lockFile(`${folderOf(manager)}/other`).acquire()
    assert.deepEqual(await manager.query(), { held: [info('a')], pending: [] })
    other.release()
  })

  test('locks of all threads are told in every thread, with the thread of each, until that ends', async (t) => {
    const manager = newManager(t)
    const threads = [new Thread(t, folderOf(manager)), new Thread(t, folderOf(manager))]
    await threads[0].ask('hold', LONG)
    await threads[1].ask('hold', 'a')
    const waiting = threads[1].ask('request', LONG)
    waiting.catch(() => {})
    await until(async () => (await manager.query()).pending.length > 0, 'the request of the thread')
    const of = (thread, name) => info(name, 'exclusive', `${process.pid}-${thread.id}`)
    const expected = { held: [of(threads[0], LONG), of(threads[1], 'a')], pending: [of(threads[1], LONG)] }
    assert.deepEqual(await manager.query(), expected)
    assert.deepEqual(await threads[0].ask('query'), expected)
    await threads[0].terminate()
    assert.equal(await waiting, 'granted')
    assert.deepEqual(await manager.query(), { held: [of(threads[1], 'a')], pending: [] })
  })
})

describe('of other processes', onLinux, () => {
  test('what they hold is told, and the first in line of each, with the number of the process', async (t) => {
    const folder = newFolder(t)
    const holder = await holderOf(t, folder, LONG)
    const reader = await holderOf(t, folder, 'A', { mode: 'shared' })
    const source = `for (const mode of ['exclusive', 'shared']) manager.request(${JSON.stringify(LONG)}, { mode }, () => {})`
    const waiter = managing(t, folder, `${source}; say('waiting')`)
    await waiter.line()
    const manager = new LockManager(folder)
    const own = [await hold(t, manager, 'A', { mode: 'shared' })]
    const request = manager.request(LONG, () => {})
    await until(async () => (await manager.query()).pending.length === 2, 'the request of the process')
    const { held, pending } = await manager.query()
    const of = ({ pid }, name, mode) => info(name, mode, String(pid))
    assert.deepEqual(sorted(held), sorted([of(holder, LONG), of(reader, 'A', 'shared'), info('A', 'shared')]))
    assert.deepEqual(pending, [info(LONG), of(waiter, LONG)])
    await Promise.all([holder.kill(), waiter.kill()])
    await eventually(request, 'the lock of a killed process')
    assert.equal((await manager.query()).held.length, 2)
    own[0].release()
  })

  test('one that is killed is not told any more', async (t) => {
    const folder = newFolder(t)
    const holder = await holderOf(t, folder, 'a')
    const manager = new LockManager(folder)
    assert.equal((await manager.query()).held.length, 1)
    await holder.kill()
    assert.deepEqual(await manager.query(), NOTHING)
  })

  test('of hundreds of names, all are told', async (t) => {
    const folder = newFolder(t)
    const names = Array.from({ length: 300 }, (_, i) => `job ${i}`)
    const holder = managing(t, folder, `Promise.all(${JSON.stringify(names)}.map((n) => hold(n))).then(() => say(0))`)
    await holder.line()
    const { held } = await new LockManager(folder).query()
    assert.deepEqual(sorted(held), sorted(names.map((name) => info(name, 'exclusive', String(holder.pid)))))
  })
})
