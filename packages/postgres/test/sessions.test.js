'use strict'

// The sessions at the server: how many there are, who shares them, and how they look there.

const assert = require('node:assert/strict')
const os = require('node:os')
const { test } = require('node:test')
const { Pool } = require('pg')

const { postgresLock } = require('..')
const { errorOf, eventually, staysPending, until } = require('../../../__test__/support/waiting.js')
const { countsOf, locksOf, newName, pidsOf, sessionsOf } = require('./support/locks.js')
const { useServer } = require('./support/server.js')

const server = useServer()

let users = 0

/** A connection that shares its sessions with no other test. */
const newConnection = () => ({ ...server.connection, application_name: `user ${++users}` })

test('at maxSessions, further names wait their turn, in their order', async (t) => {
  const client = await server.connect(t)
  const options = { connection: newConnection(), maxSessions: 2 }
  const lock = (name) => postgresLock(name, options)
  const held = [await lock('one').acquire(), await lock('two').acquire()]
  t.after(() => Promise.allSettled(held.map((each) => each.held && each.release())))
  const order = []
  const waits = ['three', 'four', 'five'].map(async (name) => {
    const own = await lock(name).acquire()
    order.push(name)
    await own.release()
  })
  assert.equal(await staysPending(Promise.race(waits), 100), true)
  assert.equal(await sessionsOf(client, options.connection.application_name), 2)
  // What a name that is held has in line needs no session of its own.
  const again = lock('one').acquire()
  await held[0].release()
  await eventually(Promise.all(waits), 'all three')
  assert.deepEqual(order, ['three', 'four', 'five'])
  held.push(await eventually(again, 'the first name'))
  assert.equal(await sessionsOf(client, options.connection.application_name), 2)
})

test('at maxSessions, a wait ends in time, a try is refused, and questions are answered', async (t) => {
  const options = { connection: newConnection(), maxSessions: 1 }
  const held = await postgresLock('held', options).acquire()
  t.after(() => held.release())
  const other = postgresLock('other', options)
  assert.equal(await other.tryAcquire(), false)
  for (const timeout of [0, 30]) {
    const error = await errorOf(() => other.acquire(timeout))
    assert.equal(error.code, 'ERR_LOCK_TIMEOUT')
    assert.match(error.message, /all 1 sessions are in use \(maxSessions\)/)
  }
  assert.equal((await errorOf(() => other.acquire({ signal: AbortSignal.timeout(20) }))).code, 'ABORT_ERR')
  assert.equal(await eventually(other.tryAcquire(), 'the refusal'), false)
  assert.equal(await other.isLocked(), false)
  assert.deepEqual(await other.holders(), [])
  assert.equal((await held.holders()).length, 1)
  const allowed = postgresLock('other', { ...options, maxSessions: 2 })
  assert.equal(await allowed.tryAcquire(), true)
  await allowed.release()
})

test('a handle with more sessions is not held up by one that has as many as it may', async (t) => {
  const connection = newConnection()
  const lock = (name, maxSessions) => postgresLock(name, { connection, maxSessions })
  const held = await lock('first', 1).acquire()
  t.after(() => held.release())
  const wait = lock('second', 1).acquire()
  const other = lock('third', 2)
  assert.equal(await other.tryAcquire(), true)
  assert.match((await errorOf(() => lock('fourth', 2).acquire(20))).message, /all 2 sessions are in use/)
  await other.release()
  await (await eventually(wait, 'the session')).release()
})

test('what is waited for in all sessions can be asked, in one session more', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const holder = await locks.elsewhere().acquire()
  const connection = newConnection()
  const options = { connection, maxSessions: 1 }
  const wait = locks.lock(options).acquire()
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  const asking = locks.lock(options)
  const answers = await eventually(Promise.all(Array.from({ length: 100 }, () => asking.holders())), 'the answers')
  for (const answer of answers) assert.deepEqual(answer, await holder.holders())
  assert.equal(await asking.isLocked(), true)
  assert.equal(await sessionsOf(client, connection.application_name), 2)
  // That one is for questions only.
  assert.equal(await postgresLock(newName(), options).tryAcquire(), false)
  await holder.release()
  await eventually(wait, 'the lock')
})

test('ten thousand questions at once do not lose the lock that their session holds', async (t) => {
  const lock = await locksOf(t, server).lock().acquire()
  const answers = await Promise.all(Array.from({ length: 10_000 }, () => lock.holders()))
  assert.equal(answers.at(-1).length, 1)
  assert.equal(lock.held, true)
})

test('a name that is waited for again and again gives way to others at maxSessions', async (t) => {
  const options = { connection: newConnection(), maxSessions: 1 }
  let isOver = false
  const busy = Array.from({ length: 3 }, async () => {
    while (!isOver) await postgresLock('busy', options).run(() => new Promise(setImmediate))
  })
  t.after(() => Promise.all(busy))
  await eventually(
    postgresLock('other', options).run(() => {}),
    'the other name',
  ).finally(() => {
    isOver = true
  })
})

test('equal connections share their sessions, and others do not', async (t) => {
  const client = await server.connect(t)
  const first = newConnection()
  const locks = locksOf(t, server, { connection: first })
  const lock = await locks.lock().acquire()
  const [pid] = await pidsOf(client, locks.name)
  await lock.release()
  const pidOf = async (connection) => {
    const own = locks.lock({ connection })
    await own.acquire()
    const [found] = await pidsOf(client, locks.name)
    await own.release()
    return found
  }
  assert.equal(await pidOf({ ...first }), pid)
  assert.equal(await pidOf(Object.fromEntries(Object.entries(first).reverse())), pid)
  assert.notEqual(await pidOf({ ...first, password: 'another' }), pid)
  assert.notEqual(await pidOf({ ...first, ssl: false }), pid)
  const url = await pidOf(server.url)
  assert.equal(await pidOf(server.url), url)
  assert.equal(await pidOf(new URL(server.url)), url)
  assert.notEqual(url, pid)
})

test('a change to the options of a connection has no effect on a lock that was made before', async (t) => {
  const connection = newConnection()
  const locks = locksOf(t, server, { connection })
  const lock = locks.lock()
  connection.port = 1
  assert.equal(await lock.tryAcquire(), true)
})

test('the options of a Pool serve, with the password that it hides; a Pool and a Client are refused', async (t) => {
  const pool = new Pool({ ...newConnection(), password: 'secret' })
  t.after(() => pool.end())
  assert.deepEqual(Object.keys(pool.options).includes('password'), false)
  const { Client } = require('pg')
  let seen
  const { connect } = Client.prototype
  t.mock.method(Client.prototype, 'connect', function (...args) {
    seen = this.password
    return connect.apply(this, args)
  })
  const lock = postgresLock(newName(), { connection: pool.options })
  assert.equal(await lock.tryAcquire(), true)
  await lock.release()
  assert.equal(seen, 'secret')
  for (const connection of [pool, new Client(server.connection)]) {
    const error = await errorOf(async () => postgresLock('x', { connection }))
    assert.equal(error.code, 'ERR_INVALID_ARG_TYPE')
    assert.match(error.message, /no Client and no Pool/)
    assert.doesNotMatch(error.message, /secret/)
  }
})

test('a session is used again, and closed ten seconds after its last use', async (t) => {
  const client = await server.connect(t)
  const connection = newConnection()
  for (let i = 0; i < 20; i++) await postgresLock(newName(), { connection }).run(() => {})
  assert.equal(await sessionsOf(client, connection.application_name), 1)
  const start = performance.now()
  await until(async () => (await sessionsOf(client, connection.application_name)) === 0, 'the end of the session')
  assert.ok(performance.now() - start > 5000)
})

test('the settings of the server and of the connection that would end a session have no effect on it', async (t) => {
  const limits = ['statement_timeout', 'lock_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout']
  const connection = {
    ...newConnection(),
    ...{ statement_timeout: 200, lock_timeout: 200, query_timeout: 200 },
    options: limits.map((name) => `-c ${name}=200`).join(' '),
  }
  const locks = locksOf(t, server)
  const holder = await locks.lock({ connection }).acquire()
  const wait = locks.lock({ connection: { ...connection, application_name: 'other' } }).acquire()
  assert.equal(await staysPending(wait, 700), true)
  assert.equal(holder.held, true)
  await holder.release()
  await eventually(wait, 'the lock')
})

for (const [hostname, expected] of [
  ['web-1.example.com', /^locket:web-1\.example\.com:\d+$/],
  [`web.${'x'.repeat(60)}.example.com`, /^locket:web:\d+$/],
  [`a-deployment-with-a-long-name-in-kubernetes-${'y'.repeat(20)}-7d9f8b6c5d-x2x7k`, /^locket:a-dep.*~.*-x2x7k:\d+$/],
]) {
  test(`a session has the name of its host: ${hostname}`, async (t) => {
    t.mock.method(os, 'hostname', () => hostname)
    const { application_name, ...connection } = newConnection()
    const locks = locksOf(t, server, { connection: { ...connection, keepAliveInitialDelayMillis: ++users } })
    const lock = await locks.lock().acquire()
    const [holder] = await lock.holders()
    assert.match(holder.application, expected)
    assert.ok(holder.application.length <= 63)
    assert.equal(holder.pid, process.pid)
  })
}

test('a Unix socket serves as well as TCP', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const [one, two] = [locks.lock({ connection: { ...server.connection, host: server.socket } }), locks.lock()]
  await one.acquire()
  assert.equal(await two.tryAcquire(), false)
  assert.equal('address' in (await two.holders())[0], false)
  await one.release()
  await two.acquire()
  // Cancels through the socket.
  assert.equal((await errorOf(() => one.acquire(20))).code, 'ERR_LOCK_TIMEOUT')
  assert.deepEqual(await countsOf(client, locks.name), { held: 1, waiting: 0 })
})
