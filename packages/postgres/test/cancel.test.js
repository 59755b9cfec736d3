'use strict'

// A wait that was rejected holds nothing, whatever it raced with.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Client } = require('pg')

const { postgresLock } = require('..')
const { errorOf, eventually, until } = require('../../../__test__/support/waiting.js')
const { countsOf, locksOf, pidsOf } = require('./support/locks.js')
const { useServer } = require('./support/server.js')

const server = useServer()

const RACES = 1000

/** How much earlier or later the release is after each round, in milliseconds. */
const STEP = 0.1

/** Waits for this time, more exactly than timers do, without keeping others from their work. */
async function pause(milliseconds) {
  const end = performance.now() + milliseconds
  while (performance.now() < end) await new Promise(setImmediate)
}

/** Ways to end a wait. Each starts it, and returns it with a function that ends it, or sees to it that it has ended. */
const WAYS = {
  abort(lock) {
    const controller = new AbortController()
    return [lock.acquire({ signal: controller.signal }), () => controller.abort()]
  },
  timeout(lock) {
    const end = performance.now() + 5
    return [lock.acquire(5), () => pause(end - performance.now())]
  },
}

for (const [way, start] of Object.entries(WAYS)) {
  test(`${RACES} races of ${way} and grant leave nothing behind a rejection`, async (t) => {
    const locks = locksOf(t, server)
    const client = await server.connect(t)
    const holder = locks.elsewhere()
    const outcomes = { granted: 0, rejected: 0 }
    let left = 0
    // How long after the end of the wait the lock is released: it is moved to where both happen at the same time.
    let delay = 0
    for (let round = 0; round < RACES; round++) {
      await eventually(holder.acquire(), 'the release of what a rejected wait holds')
      const [holderPid] = await pidsOf(client, locks.name)
      const lock = locks.lock()
      const [wait, end] = start(lock)
      const settled = wait.then(
        () => 'granted',
        ({ code }) => (['ABORT_ERR', 'ERR_LOCK_TIMEOUT'].includes(code) ? 'rejected' : code),
      )
      if (way === 'abort') await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'the wait')
      let released
      if (delay < 0) {
        released = holder.release()
        await pause(-delay)
        await end()
      } else {
        await end()
        await pause(delay)
        released = holder.release()
      }
      const outcome = await eventually(settled, 'the wait')
      outcomes[outcome]++
      delay += outcome === 'granted' ? STEP : -STEP
      // Asked at once: what a session gives back later is still there.
      const pids = await pidsOf(client, locks.name)
      await released
      if (outcome === 'granted') {
        assert.equal(lock.held, true)
        await lock.release()
      } else {
        assert.equal(outcome, 'rejected')
        if (lock.held || pids.some((pid) => pid !== holderPid)) left++
      }
    }
    t.diagnostic(JSON.stringify(outcomes))
    assert.equal(left, 0)
    // Both happen, or there was no race.
    assert.ok(outcomes.granted > RACES / 10 && outcomes.rejected > RACES / 10, JSON.stringify(outcomes))
  })
}

test('a wait that is aborted in the moment in which it begins holds nothing', async (t) => {
  const locks = locksOf(t, server)
  const client = await server.connect(t)
  const holder = await locks.elsewhere().acquire()
  await locks.lock().holders()
  for (let round = 0; round < 100; round++) {
    const controller = new AbortController()
    const error = errorOf(() => locks.lock().acquire({ signal: controller.signal }))
    for (let turns = 0; turns < round % 5; turns++) await new Promise(setImmediate)
    controller.abort()
    assert.equal((await error).code, 'ABORT_ERR')
    assert.deepEqual(await countsOf(client, locks.name), { held: 1, waiting: 0 })
  }
  await holder.release()
})

test('a wait that ends hands its place at the server to the next one that wants the same', async (t) => {
  const locks = locksOf(t, server)
  const client = await server.connect(t)
  const holder = await locks.elsewhere().acquire()
  const controller = new AbortController()
  const first = errorOf(() => locks.lock().acquire({ signal: controller.signal }))
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  const second = locks.lock().acquire()
  const [pid] = await pidsOf(client, locks.name, false)
  const { rows } = await client.query('select xact_start from pg_stat_activity where pid = $1', [pid])

  controller.abort()
  assert.equal((await first).code, 'ABORT_ERR')
  assert.deepEqual(await pidsOf(client, locks.name, false), [pid])
  const now = await client.query('select xact_start from pg_stat_activity where pid = $1', [pid])
  assert.deepEqual(now.rows, rows)
  await holder.release()
  await eventually(second, 'the lock')
})

test('a wait that ends lets the one behind it have another mode', async (t) => {
  const locks = locksOf(t, server)
  const client = await server.connect(t)
  await locks.elsewhere({ mode: 'shared' }).acquire()
  const controller = new AbortController()
  const writer = errorOf(() => locks.lock().acquire({ signal: controller.signal }))
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  const reader = locks.lock({ mode: 'shared' }).acquire()
  controller.abort()
  assert.equal((await writer).code, 'ABORT_ERR')
  await eventually(reader, 'the shared lock')
  assert.deepEqual(await countsOf(client, locks.name), { held: 2, waiting: 0 })
})

test('a wait that a database administrator cancels is rejected with the error of the server, and holds nothing', async (t) => {
  const locks = locksOf(t, server)
  const client = await server.connect(t)
  const holder = await locks.elsewhere().acquire()
  const wait = errorOf(() => locks.lock().acquire())
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  const [pid] = await pidsOf(client, locks.name, false)
  await client.query('select pg_cancel_backend($1)', [pid])
  const error = await wait
  assert.equal(error.code, '57014')
  assert.equal(error.lockName, locks.name)
  assert.deepEqual(await countsOf(client, locks.name), { held: 1, waiting: 0 })
  await holder.release()
  assert.equal(await locks.lock().tryAcquire(), true)
})

test('a signal that fires while a failed wait gives its lock back cancels nothing else', async (t) => {
  const locks = locksOf(t, server)
  const client = await server.connect(t)
  const holder = await locks.elsewhere().acquire()
  const { query } = Client.prototype
  let controller
  t.mock.method(Client.prototype, 'query', function (statement, ...more) {
    if (statement.text?.includes('unlock_all')) controller.abort()
    return query.call(this, statement, ...more)
  })
  for (let round = 0; round < 20; round++) {
    controller = new AbortController()
    const first = errorOf(() => locks.lock().acquire({ signal: controller.signal }))
    await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
    const second = locks.lock().acquire()
    const [pid] = await pidsOf(client, locks.name, false)
    await client.query('select pg_cancel_backend($1)', [pid])
    assert.equal((await first).code, 'ABORT_ERR')
    await holder.release()
    await (await eventually(second, 'the lock')).release()
    await holder.acquire()
  }
})

test('a wait that ends before there is a connection is rejected at once', async (t) => {
  const net = require('node:net')
  // Takes connections, and says nothing.
  const silent = net.createServer().listen(0, '127.0.0.1')
  t.after(() => silent.close())
  const sockets = []
  silent.on('connection', (socket) => sockets.push(socket.on('error', () => {})))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  await new Promise((resolve) => silent.once('listening', resolve))
  const lock = postgresLock('x', { connection: { ...server.connection, port: silent.address().port } })
  const start = performance.now()
  const error = await errorOf(() => lock.acquire(50))
  assert.equal(error.code, 'ERR_LOCK_TIMEOUT')
  assert.match(error.message, /no connection yet/)
  assert.equal((await errorOf(() => lock.acquire({ signal: AbortSignal.timeout(50) }))).code, 'ABORT_ERR')
  assert.ok(performance.now() - start < 2000)
})
