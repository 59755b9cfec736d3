'use strict'

// request(): when callbacks are called, with what, and what becomes of their results; ifAvailable, signal, timeout.

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile, LockTimeoutError } = require('../..')
const { isPaced } = require('../support/systems.js')
const { settlesAtOnce, staysPending } = require('../support/waiting.js')
const { folderOf, hold, isAvailable, newManager, rejection, rejectsWith } = require('./locks.js')

const never = () => assert.fail('the callback was called')
const shared = { mode: 'shared' }

describe('the callback', () => {
  test('is called later, once, with a lock that has a name and a mode', async (t) => {
    const manager = newManager(t)
    for (const mode of ['exclusive', 'shared']) {
      const locks = []
      const request = manager.request('Name', { mode }, (...args) => locks.push(args))
      assert.deepEqual(locks, [])
      await request
      const [[lock]] = locks
      assert.deepEqual([locks.length, locks[0].length, lock.name, lock.mode], [1, 1, 'Name', mode])
    }
  })

  test('gets a lock of a class that nobody else can make objects of', async (t) => {
    const manager = newManager(t)
    const lock = await manager.request('a', (granted) => granted)
    assert.equal(String(lock), '[object Lock]')
    assert.deepEqual(Object.keys(lock), [])
    const inherited = []
    for (const name in lock) inherited.push(name)
    assert.deepEqual(inherited, ['name', 'mode'])
    assert.throws(() => {
      'use strict'
      lock.name = 'b'
    }, TypeError)
    assert.throws(() => new lock.constructor('a', 'exclusive'), { name: 'TypeError', message: 'Illegal constructor' })
    assert.throws(() => Object.getPrototypeOf(lock).name, TypeError)
  })

  test("has the context of the request: AsyncLocalStorage has the caller's store, also after a wait", async (t) => {
    const manager = newManager(t)
    const storage = new AsyncLocalStorage()
    const holder = await hold(t, manager, 'a')
    const waiting = storage.run('mine', () => manager.request('a', () => storage.getStore()))
    holder.release()
    assert.equal(await waiting, 'mine')
  })

  test('may be anything that can be called, and its result becomes that of the request', async (t) => {
    const manager = newManager(t)
    const results = [undefined, null, 5, 'text', ['list']]
    for (const result of results) assert.equal(await manager.request('a', () => result), result)
    assert.equal(await manager.request('a', async () => 'later'), 'later')
    // biome-ignore lint/suspicious/noThenProperty: what looks like a promise is one for the standard
    assert.equal(await manager.request('a', () => ({ then: (resolve) => resolve('thenable') })), 'thenable')
    assert.equal(await manager.request('a', new Proxy(() => 'proxy', {})), 'proxy')
    assert.equal(await isAvailable(manager, 'a'), true)
  })

  test('rejects the request with what it throws or rejects with, and the lock is released', async (t) => {
    const manager = newManager(t)
    // biome-ignore lint/suspicious/noThenProperty: it must not be called
    const thenable = { then: () => assert.fail('its then() was called') }
    for (const failure of [new Error('mine'), 'text', undefined, thenable]) {
      const failing = [
        () => {
          throw failure
        },
        async () => {
          throw failure
        },
        () => Promise.reject(failure),
      ]
      for (const callback of failing) {
        const caught = await manager.request('a', callback).then(never, (error) => ({ error }))
        assert.equal(caught.error, failure)
        assert.equal(await isAvailable(manager, 'a'), true)
      }
    }
  })

  test('holds the lock until its promise is settled, and the request is settled after the release', async (t) => {
    const manager = newManager(t)
    for (const end of ['resolve', 'reject']) {
      const order = []
      let settle
      const over = new Promise((resolve, reject) => {
        settle = { resolve, reject }[end]
      })
      const request = manager.request('a', () => over)
      const next = manager.request('a', () => order.push('next'))
      assert.ok(await staysPending(next))
      const settled = request.then(
        () => order.push('settled'),
        () => order.push('settled'),
      )
      settle(new Error('on purpose'))
      await Promise.all([settled, next])
      assert.deepEqual(order.sort(), ['next', 'settled'])
      assert.equal(await isAvailable(manager, 'a'), true)
    }
  })

  test('that requests the same name waits for itself', async (t) => {
    const manager = newManager(t)
    await manager.request('a', async () => {
      const { signal, abort } = abortable()
      const inner = manager.request('a', { signal }, never)
      assert.ok(await staysPending(inner, 50))
      abort()
      await rejection(inner)
    })
  })
})

function abortable() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: (...reason) => controller.abort(...reason) }
}

describe('requests of one name', () => {
  test('are granted in their order, also the first ones, whose folder is being made', async (t) => {
    const manager = newManager(t)
    const order = []
    const requests = Array.from({ length: 100 }, (_, i) => manager.request('a', () => order.push(i)))
    await Promise.all(requests)
    assert.deepEqual(
      order,
      requests.map((_, i) => i),
    )
  })

  test('share the lock if they are shared, and later ones wait behind an exclusive one', async (t) => {
    const manager = newManager(t)
    const first = await hold(t, manager, 'a', shared)
    const second = await hold(t, manager, 'a', shared)
    const order = []
    const exclusive = manager.request('a', () => order.push('exclusive'))
    const third = manager.request('a', shared, () => order.push('shared'))
    first.release()
    assert.ok(await staysPending(exclusive))
    second.release()
    await Promise.all([exclusive, third])
    assert.deepEqual(order, ['exclusive', 'shared'])
  })

  test('are independent of other names', async (t) => {
    const manager = newManager(t)
    await hold(t, manager, 'a')
    assert.equal(await manager.request('b', (lock) => lock.name), 'b')
  })

  test('of another manager of the folder are the same, and so is a FileLock of the file', async (t) => {
    const manager = newManager(t)
    const other = new manager.constructor(folderOf(manager))
    const held = await hold(t, manager, 'job')
    assert.equal(await isAvailable(other, 'job'), false)
    assert.equal(await lockFile(path.join(folderOf(manager), 'lock-job')).tryAcquire(), false)
    held.release()
    await held.request
    assert.equal(await isAvailable(other, 'job'), true)
  })
})

describe('ifAvailable', () => {
  test('calls back later with null if the lock is held or waited for, and with the lock otherwise', async (t) => {
    const manager = newManager(t)
    assert.equal(await isAvailable(manager, 'a'), true)
    const held = await hold(t, manager, 'a', shared)
    assert.equal(await isAvailable(manager, 'a'), false)
    assert.equal(await isAvailable(manager, 'a', shared), true)
    const waiting = manager.request('a', () => {})
    assert.equal(await isAvailable(manager, 'a', shared), false)
    held.release()
    await waiting
    let called = false
    const request = manager.request('a', { ifAvailable: true }, () => {
      called = true
    })
    assert.equal(called, false)
    await request
    assert.equal(called, true)
  })

  test('passes on what the callback returns or throws', async (t) => {
    const manager = newManager(t)
    await hold(t, manager, 'a')
    assert.equal(await manager.request('a', { ifAvailable: true }, async () => 'busy'), 'busy')
    const failure = new Error('mine')
    for (const callback of [
      () => {
        throw failure
      },
      () => Promise.reject(failure),
    ]) {
      assert.equal(await rejection(manager.request('a', { ifAvailable: true }, callback)), failure)
    }
  })
})

describe('a signal', () => {
  test('ends the wait with its reason itself, whatever that is, and the next request moves up', async (t) => {
    const manager = newManager(t)
    for (const reason of [new Error('mine'), 'text', null, undefined]) {
      const { signal, abort } = abortable()
      const holder = await hold(t, manager, 'a')
      const waiting = manager.request('a', { signal }, never)
      const next = manager.request('a', () => 'next')
      assert.ok(await staysPending(waiting))
      abort(reason)
      const caught = await waiting.then(never, (error) => ({ error }))
      assert.equal(caught.error, signal.reason)
      if (reason === undefined) assert.equal((await rejectsWith(waiting, 'AbortError')).code, 20)
      holder.release()
      assert.equal(await next, 'next')
    }
  })

  test('that fires right after the request keeps the callback from being called, and the lock is free', async (t) => {
    const manager = newManager(t)
    // Also where the lock is granted at once, since its file is still open.
    for (let round = 0; round < 100; round++) {
      const { signal, abort } = abortable()
      const request = manager.request('a', { signal }, never)
      abort('late')
      assert.equal(await request.then(never, (reason) => reason), 'late')
      assert.equal(await isAvailable(manager, 'a'), true)
    }
  })

  test('that fires when the callback has been called has no effect', async (t) => {
    const manager = newManager(t)
    const { signal, abort } = abortable()
    const held = await hold(t, manager, 'a', { signal })
    abort()
    assert.ok(await staysPending(held.request))
    assert.equal(await isAvailable(manager, 'a'), false)
    held.release('result')
    assert.equal(await held.request, 'result')
  })

  test('may be that of a polyfill, without a reason', async (t) => {
    const manager = newManager(t)
    const { signal, abort } = abortable()
    const polyfill = {
      get aborted() {
        return signal.aborted
      },
      addEventListener: (...args) => signal.addEventListener(...args),
      removeEventListener: (...args) => signal.removeEventListener(...args),
    }
    await hold(t, manager, 'a')
    const waiting = manager.request('a', { signal: polyfill }, never)
    abort()
    await rejectsWith(waiting, 'AbortError')
    await rejectsWith(manager.request('b', { signal: polyfill }, never), 'AbortError')
  })
})

describe('a timeout', () => {
  test('ends the wait as that of a FileLock, and the next request moves up', async (t) => {
    const manager = newManager(t)
    const held = await hold(t, manager, 'a')
    for (const timeout of [0, 5]) {
      const error = await rejection(manager.request('a', { timeout }, never))
      assert.ok(error instanceof LockTimeoutError)
      const file = path.join(folderOf(manager), 'lock-a')
      assert.deepEqual([error.code, error.timeout, error.path], ['ERR_LOCK_TIMEOUT', timeout, file])
    }
    held.release()
    await held.request
    assert.equal(await manager.request('a', { timeout: 0 }, () => 'free'), 'free')
  })

  test('that is infinite does not end it, nor does a signal beside one that does not fire', async (t) => {
    const manager = newManager(t)
    const held = await hold(t, manager, 'a')
    const { signal } = abortable()
    const waiting = manager.request('a', { timeout: Infinity, signal }, () => 'granted')
    const late = manager.request('a', { timeout: 5, signal }, never)
    assert.equal((await rejection(late)).code, 'ERR_LOCK_TIMEOUT')
    held.release()
    assert.equal(await waiting, 'granted')
  })
})

test('a name requested again and again is granted without a turn of the event loop', { skip: isPaced }, async (t) => {
  const manager = newManager(t)
  for (let i = 0; i < 40; i++) await manager.request('a', () => {})
  assert.equal(await settlesAtOnce(manager.request('a', () => {})), true)
})

test('many names at once, more than have handles kept, exclude each other by name', async (t) => {
  const manager = newManager(t)
  const running = new Map()
  const job = (name) => async () => {
    assert.equal(running.get(name), undefined, name)
    running.set(name, true)
    await new Promise(setImmediate)
    running.delete(name)
  }
  const names = Array.from({ length: 1000 }, (_, i) => `job ${i}`)
  for (let round = 0; round < 2; round++) {
    await Promise.all([...names, ...names].map((name) => manager.request(name, job(name))))
  }
  assert.deepEqual(await manager.query(), { held: [], pending: [] })
})
