'use strict'

// Programs that take the lock by the formula of the README, and what only they can bring about.

const assert = require('node:assert/strict')
const { execFileSync, spawn } = require('node:child_process')
const { createInterface } = require('node:readline')
const { test } = require('node:test')

const { LockError } = require('..')
const { requireAll } = require('../../../__test__/support/systems.js')
const { errorOf, eventually, staysPending, until } = require('../../../__test__/support/waiting.js')
const { countsOf, locksOf, newName, pidsOf } = require('./support/locks.js')
const { programOf, useServer } = require('./support/server.js')

const server = useServer()
const psql = { skip: programOf('psql') === undefined && !requireAll && 'psql is not installed' }

function argumentsOfPsql() {
  const { host, port, user, database } = server.connection
  return ['-XAtq', '-h', host, '-p', String(port), '-U', user, database]
}

/** Starts psql, which is told statements, and answers a line each. It ends with the test. */
function startPsql(t) {
  const child = spawn(programOf('psql'), argumentsOfPsql(), { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return async (statement) => {
    child.stdin.write(`${statement};\n`)
    return (await eventually(lines.next(), statement)).value
  }
}

test('psql and a lock of this package exclude each other', psql, async (t) => {
  const locks = locksOf(t, server, { name: "it's \\ a name" })
  const lock = locks.lock()
  const ask = startPsql(t)
  const key = "hashtextextended('it''s \\ a name', 0)"
  await lock.acquire()
  assert.equal(await ask(`select pg_try_advisory_lock(${key})`), 'f')
  await lock.release()
  assert.equal(await ask(`select pg_try_advisory_lock(${key})`), 't')
  assert.equal(await lock.tryAcquire(), false)
  assert.equal(await lock.isLocked(), true)
  const [{ serverPid, ...holder }] = await lock.holders()
  assert.deepEqual(holder, { mode: 'exclusive', application: 'psql', address: '127.0.0.1' })
  const error = await errorOf(() => lock.acquire(20))
  assert.match(error.message, new RegExp(`held by psql \\(server process ${serverPid}\\)`))
  const wait = lock.acquire()
  assert.equal(await staysPending(wait, 50), true)
  assert.equal(await ask(`select pg_advisory_unlock(${key})`), 't')
  await eventually(wait, 'the lock')
  assert.equal(await ask(`select pg_try_advisory_lock_shared(${key})`), 'f')
  await lock.release()
  await lock.acquire({ mode: 'shared' })
  assert.equal(await ask(`select pg_try_advisory_lock_shared(${key})`), 't')
})

for (const [method, answer] of [
  ['isLocked', false],
  ['holders', []],
  ['tryAcquire', true],
]) {
  test(`a session that is terminated while the event loop is busy costs ${method}() no error`, psql, async (t) => {
    const name = newName()
    const { lock } = locksOf(t, server, { connection: { ...server.connection, application_name: name } })
    assert.equal(await lock().isLocked(), false)
    const statement = `select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = '${name}'`
    // The loop does not run until the server has ended the session.
    assert.equal(execFileSync(programOf('psql'), [...argumentsOfPsql(), '-c', statement], { encoding: 'utf8' }), '1\n')
    assert.deepEqual(await lock()[method](), answer)
  })
}

test('a deadlock that the server finds is an error of the wait, which holds nothing', async (t) => {
  const locks = locksOf(t, server)
  const other = await server.connect(t)
  const asking = await server.connect(t)
  // It is this wait that looks for a deadlock, at a time when there is one.
  const options = '-c deadlock_timeout=1s'
  await other.query("set deadlock_timeout = '1h'; create table if not exists built (id integer)")
  await other.query('select pg_advisory_lock(hashtextextended($1, 0))', [locks.name])
  const error = errorOf(() => locks.lock({ connection: { ...server.connection, options } }).acquire())
  await until(async () => (await countsOf(asking, locks.name)).waiting === 1, 'a wait')
  // Waits for all transactions that have begun before, and so for a wait for a lock that its own session holds.
  const building = other.query('create index concurrently on built (id)')
  const found = await error
  assert.ok(found instanceof LockError)
  assert.equal(found.code, 'ERR_LOCK_DEADLOCK')
  assert.equal(found.cause.code, '40P01')
  assert.equal(found.lockName, locks.name)
  await eventually(building, 'the index')
  assert.deepEqual(await countsOf(asking, locks.name), { held: 1, waiting: 0 })
})

test('a lock that somebody else unlocks in its session is lost', async (t) => {
  const { Client } = require('pg')
  const locks = locksOf(t, server)
  const lock = await locks.lock().acquire()
  const client = await server.connect(t)
  const [pid] = await pidsOf(client, locks.name)
  // The lock's own client says what it is told not to.
  const { query } = Client.prototype
  t.mock.method(Client.prototype, 'query', function (statement, ...more) {
    const isHeartbeat = this.processID === pid && statement.text === 'select 1'
    return query.call(
      this,
      isHeartbeat ? { ...statement, text: 'select pg_advisory_unlock_all()' } : statement,
      ...more,
    )
  })
  await until(async () => (await countsOf(client, locks.name)).held === 0, 'the unlocking')
  const error = await errorOf(() => lock.release())
  assert.equal(error.code, 'ERR_LOCK_LOST')
  assert.match(error.message, /did not hold it any more/)
})
