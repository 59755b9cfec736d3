'use strict'

// A session that ends while it holds a lock or waits for one: its holder hears of it, and nothing is acquired again silently.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')

const { Client } = require('pg')

const { LockError } = require('..')
const { errorOf, eventually, until } = require('../../../__test__/support/waiting.js')
const { countsOf, locksOf, pidsOf } = require('./support/locks.js')
const { proxyOf } = require('./support/proxy.js')
const { useServer } = require('./support/server.js')

const server = useServer()

/** Resolves to the reason of the signal `lost`. */
async function lossOf(lock) {
  if (!lock.lost.aborted) await eventually(once(lock.lost, 'abort'), 'the loss')
  return lock.lost.reason
}

function assertLost(error, { name }) {
  assert.ok(error instanceof LockError)
  assert.equal(error.code, 'ERR_LOCK_LOST')
  assert.equal(error.lockName, name)
  assert.match(error.message, new RegExp(`^lost the lock of ${name}: `))
}

/** Ends the sessions that hold the lock. */
async function terminate(client, name, granted = true) {
  for (const pid of await pidsOf(client, name, granted)) await client.query('select pg_terminate_backend($1)', [pid])
}

test('a holder hears that its session was terminated; release() tells it once, and disposal not at all', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const lock = await locks.lock().acquire()
  const { lost, token } = lock
  await terminate(client, locks.name)
  const reason = await lossOf(lock)
  assertLost(reason, locks)
  assert.equal(reason.cause.code, '57P01')
  assert.equal(lost, lock.lost)
  assert.equal(lock.held, false)
  assert.equal(lock.token, token)
  assertLost(await errorOf(() => lock.release()), locks)
  assert.equal((await errorOf(() => lock.release())).code, 'ERR_LOCK_NOT_HELD')

  // The next acquisition has a signal of its own.
  await lock.acquire()
  assert.equal(lock.lost.aborted, false)
  await terminate(client, locks.name)
  await lossOf(lock)
  await lock[Symbol.asyncDispose]()
  assert.equal(await lock.tryAcquire(), true)
  assert.ok(lock.token > token)
})

test('the signal that was read before an acquire is that of the acquisition', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const lock = locks.lock()
  const { lost } = lock
  await lock.acquire()
  await terminate(client, locks.name)
  assert.equal((await lossOf(lock)) === lost.reason && lost.aborted, true)
})

test('run() rejects when its task has ended, if the lock was lost meanwhile', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  let ended = false
  const error = await errorOf(() =>
    locks.lock().run(async (lock) => {
      await terminate(client, locks.name)
      await lossOf(lock)
      ended = true
    }),
  )
  assertLost(error, locks)
  assert.equal(ended, true)
  const failure = new Error('of the task')
  const running = locks.lock().run(async (lock) => {
    await terminate(client, locks.name)
    await lossOf(lock)
    throw failure
  })
  assert.equal(await running.catch((reason) => reason), failure)
})

test('a loss is that of all shared holders of the thread, and those that wait go on in a new session', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server, { mode: 'shared' })
  const holders = [await locks.lock().acquire(), await locks.lock().acquire()]
  const waiter = locks.lock({ mode: 'exclusive' })
  const wait = waiter.acquire()
  await terminate(client, locks.name)
  for (const holder of holders) assertLost(await lossOf(holder), locks)
  await eventually(wait, 'the lock')
  assert.deepEqual(
    holders.map(({ held }) => held),
    [false, false],
  )
  assert.equal(waiter.held, true)
})

test('a lock that is lost is not acquired again', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const lock = await locks.lock().acquire()
  await terminate(client, locks.name)
  await lossOf(lock)
  assert.equal(await locks.elsewhere().tryAcquire(), true)
  assert.equal(lock.held, false)
})

test('a wait whose session is terminated is rejected with the error of the server, and the next one goes on', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const holder = await locks.elsewhere().acquire()
  // Its session has served before.
  assert.equal(await locks.lock().isLocked(), true)
  const first = errorOf(() => locks.lock().acquire())
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  const second = locks.lock().acquire()
  await terminate(client, locks.name, false)
  assert.equal((await first).code, '57P01')
  await holder.release()
  await eventually(second, 'the lock')
})

for (const [signal, how] of [
  ['INT', 'restarts'],
  ['QUIT', 'crashes'],
]) {
  test(`when the server ${how}, holders hear of it, waits are rejected, and the process lives on`, async (t) => {
    const locks = locksOf(t, server)
    const lock = await locks.lock().acquire()
    const { token } = lock
    const client = await server.connect(t)
    const wait = errorOf(() => locks.elsewhere().acquire())
    const line = errorOf(() => locks.lock().acquire())
    await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
    await server.stop(signal)
    try {
      assertLost(await lossOf(lock), locks)
      // Terminated, or granted when the holder was, and then lost before anybody heard of it.
      assert.ok((await wait) instanceof Error)
      assert.ok((await line) instanceof Error)
      assert.equal((await errorOf(() => locks.lock().tryAcquire())).code, 'ECONNREFUSED')
      assert.equal((await errorOf(() => locks.lock().holders())).code, 'ECONNREFUSED')
    } finally {
      await server.start()
    }
    await lock.acquire()
    if (signal === 'INT') assert.ok(lock.token > token)
  })
}

test('a session that nobody uses is not missed: the next acquire opens another one', async (t) => {
  const locks = locksOf(t, server)
  const lock = await locks.lock().acquire()
  await lock.release()
  await server.restart('QUIT')
  await lock.acquire()
  await lock.release()
  assert.equal(await lock.isLocked(), false)
})

for (const method of ['acquire', 'tryAcquire', 'isLocked', 'holders']) {
  test(`a session that was cut off while nobody used it costs ${method}() two seconds, and no error`, async (t) => {
    const proxy = await proxyOf(t, server)
    const { lock: lockOf } = locksOf(t, server, { connection: proxy.connection })
    const lock = await lockOf().acquire()
    await lock.release()
    proxy.cutOff()
    const start = performance.now()
    await eventually(lock[method](), 'the answer')
    assert.ok(performance.now() - start < 4000)
  })
}

test('several sessions that were cut off while nobody used them cost no more than one', async (t) => {
  const proxy = await proxyOf(t, server)
  const locks = [1, 2, 3].map(() => locksOf(t, server, { connection: proxy.connection }).lock())
  await Promise.all(locks.map((lock) => lock.acquire()))
  await Promise.all(locks.map((lock) => lock.release()))
  proxy.cutOff()
  const start = performance.now()
  await eventually(locks[0].acquire(), 'the lock')
  assert.ok(performance.now() - start < 4000)
})

test('a question to a server that is silent ends with an error', async (t) => {
  const proxy = await proxyOf(t, server)
  const { lock } = locksOf(t, server, { connection: { ...proxy.connection, connectionTimeoutMillis: 500 } })
  assert.equal(await lock().isLocked(), false)
  proxy.silence()
  const start = performance.now()
  const questions = ['isLocked', 'holders'].map((method) => errorOf(() => lock()[method]()))
  for (const error of await Promise.all(questions)) assert.ok(error instanceof Error)
  assert.ok(performance.now() - start < 4000)
})

test('a server that falls silent when it is connected keeps no acquire for ever', async (t) => {
  const proxy = await proxyOf(t, server, (text) => {
    // What it says when it is ready for the first statement.
    if (text.includes('Z\0\0\0\x05I')) setImmediate(() => proxy.silence())
    return text
  })
  const { lock } = locksOf(t, server, { connection: proxy.connection })
  assert.match((await errorOf(() => lock().acquire())).message, /not answered/)
})

test('a holder notices within three seconds that the server is silent', async (t) => {
  const proxy = await proxyOf(t, server)
  const locks = locksOf(t, server, { connection: proxy.connection })
  const lock = await locks.lock().acquire()
  // Between two heartbeats.
  await new Promise((resolve) => setTimeout(resolve, 1500))
  assert.equal(lock.held, true)
  const start = performance.now()
  proxy.silence()
  const reason = await lossOf(lock)
  const took = performance.now() - start
  t.diagnostic(`${took.toFixed(0)} ms`)
  assertLost(reason, locks)
  assert.match(reason.message, /not answered/)
  assert.ok(took < 3500, `${took} ms`)
})

test('release() is rejected if the server is silent, since nobody knows then who holds the lock', async (t) => {
  const proxy = await proxyOf(t, server)
  const locks = locksOf(t, server, { connection: proxy.connection })
  const lock = await locks.lock().acquire()
  proxy.silence()
  const start = performance.now()
  assertLost(await errorOf(() => lock.release()), locks)
  assert.ok(performance.now() - start < 3500)
  assert.equal(lock.held, false)
})

test('a wait ends soon after its timeout also if the server is silent', async (t) => {
  const client = await server.connect(t)
  const proxy = await proxyOf(t, server)
  const locks = locksOf(t, server)
  await locks.lock().acquire()
  const waiter = locks.lock({ connection: proxy.connection })
  const start = performance.now()
  const wait = errorOf(() => waiter.acquire(1000))
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  proxy.silence()
  const error = await wait
  assert.equal(error.code, 'ERR_LOCK_TIMEOUT')
  assert.match(error.message, /does not answer/)
  assert.ok(performance.now() - start < 4000)
})

test('a wait that ends behind another one says that the lock is held only if the server has said so', async (t) => {
  const client = await server.connect(t)
  const proxy = await proxyOf(t, server)
  const locks = locksOf(t, server, { connection: { ...proxy.connection, connectionTimeoutMillis: 500 } })
  const holder = await locks.elsewhere({ connection: server.connection }).acquire()
  const first = errorOf(() => locks.lock().acquire(300))
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  assert.match((await errorOf(() => locks.lock().acquire(50))).message, /: it is locked$/)
  await first
  await holder.release()

  proxy.silence()
  const unanswered = errorOf(() => locks.lock().tryAcquire())
  assert.match((await errorOf(() => locks.lock().acquire(50))).message, /: the server has not answered yet$/)
  await unanswered
})

test('a wait ends two seconds after its signal also if each cancellation takes its time to fail', async (t) => {
  const client = await server.connect(t)
  const proxy = await proxyOf(t, server)
  const locks = locksOf(t, server)
  await locks.lock().acquire()
  const controller = new AbortController()
  const { signal } = controller
  const wait = errorOf(() => locks.lock({ connection: proxy.connection }).acquire({ signal }))
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  proxy.silence()
  const start = performance.now()
  const cancellation = proxy.next()
  controller.abort()
  const [socket] = [await cancellation, await new Promise((resolve) => setTimeout(resolve, 1500))]
  const again = proxy.next()
  socket.destroy()
  await again
  assert.equal((await wait).code, 'ABORT_ERR')
  const took = performance.now() - start
  assert.ok(took < 3000, `${took} ms`)
})

test('a blocked event loop does not lose a lock that the session still holds', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const lock = await locks.lock().acquire()
  const { query } = Client.prototype
  let blocked = 0
  t.mock.method(Client.prototype, 'query', function (statement, ...more) {
    // For longer than the answer to a heartbeat may take, which has been sent by then.
    if (statement.text === 'select 1' && blocked++ < 2) {
      process.nextTick(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500))
    }
    return query.call(this, statement, ...more)
  })
  await until(() => blocked > 2, 'three heartbeats')
  assert.equal(lock.held, true)
  assert.equal((await countsOf(client, locks.name)).held, 1)
})

test('cancelling what a holder asks does not lose its lock', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const lock = await locks.lock().acquire()
  const [pid] = await pidsOf(client, locks.name)
  const end = performance.now() + 2500
  while (performance.now() < end) await client.query('select pg_cancel_backend($1)', [pid])
  assert.equal(lock.held, true)
  // The release is cancelled once.
  const { query } = Client.prototype
  let cancelled = 0
  t.mock.method(Client.prototype, 'query', function (statement, ...more) {
    const isFirst = statement.name === 'locket_unlock' && cancelled++ === 0
    return query.call(
      this,
      isFirst ? { text: 'select pg_cancel_backend(pg_backend_pid()), pg_sleep(10)' } : statement,
      ...more,
    )
  })
  await lock.release()
  assert.equal(cancelled, 2)
  assert.equal((await countsOf(client, locks.name)).held, 0)
})
