'use strict'

// Bad arguments, and what monitoring sees. Needs no server.

const assert = require('node:assert/strict')
const { channel, tracingChannel } = require('node:diagnostics_channel')
const { inspect } = require('node:util')
const { test } = require('node:test')

const locket = require('..')
const { errorOf } = require('../../../__test__/support/waiting.js')
const { obstacle, Server } = require('./support/server.js')

const { LockError, LockTimeoutError, PostgresLock, postgresLock } = locket

test('the package exports the lock and its errors', () => {
  assert.deepEqual(Object.keys(locket), ['postgresLock', 'PostgresLock', 'LockError', 'LockTimeoutError'])
  assert.ok(postgresLock('x') instanceof PostgresLock)
  assert.equal(new PostgresLock('x').name, 'x')
})

const TYPE = 'ERR_INVALID_ARG_TYPE'
const VALUE = 'ERR_INVALID_ARG_VALUE'
const RANGE = 'ERR_OUT_OF_RANGE'

const cyclic = { host: 'x' }
cyclic.cyclic = [cyclic]

for (const [code, name, options] of [
  [TYPE, undefined],
  [TYPE, 7],
  [TYPE, Buffer.from('x')],
  [VALUE, ''],
  [VALUE, 'a\0b'],
  [TYPE, 'x', null],
  [TYPE, 'x', 5],
  [TYPE, 'x', []],
  [VALUE, 'x', new AbortController().signal],
  [VALUE, 'x', { signal: new AbortController().signal }],
  [VALUE, 'x', { fileMode: 0o600 }],
  [TYPE, 'x', { connection: null }],
  [TYPE, 'x', { connection: 5432 }],
  [TYPE, 'x', { connection: [] }],
  [TYPE, 'x', { connection: () => {} }],
  [TYPE, 'x', { connection: new String('postgres://host/db') }],
  [TYPE, 'x', { connection: Promise.resolve('postgres://host/db') }],
  [TYPE, 'x', { connection: cyclic }],
  [VALUE, 'x', { connection: '' }],
  [VALUE, 'x', { connection: 'app:secret@db/app' }],
  [VALUE, 'x', { connection: 'db.example/app' }],
  [VALUE, 'x', { connection: 'host=db user=app password=secret' }],
  [VALUE, 'x', { connection: new URL('http://app:secret@db/app') }],
  [VALUE, 'x', { connection: { connectionString: 'app:secret@db/app' } }],
  [TYPE, 'x', { connection: { ssl: cyclic } }],
  [TYPE, 'x', { timeout: '5' }],
  [RANGE, 'x', { timeout: -1 }],
  [RANGE, 'x', { timeout: Number.NaN }],
  [VALUE, 'x', { mode: 'read' }],
  [TYPE, 'x', { maxSessions: '5' }],
  [RANGE, 'x', { maxSessions: 0 }],
  [RANGE, 'x', { maxSessions: 1.5 }],
  [TYPE, 'x', { allowPooler: 1 }],
  // The options are looked at first, as those of lockFile().
  [RANGE, 7, { timeout: -1 }],
]) {
  test(`postgresLock(${inspect(name)}, ${inspect(options, { depth: 0 })}) throws ${code}`, () => {
    for (const make of [postgresLock, (...args) => new PostgresLock(...args)]) {
      assert.throws(
        () => make(name, options),
        (error) => error.code === code && (code === RANGE ? error instanceof RangeError : error instanceof TypeError),
      )
    }
  })
}

for (const [code, options] of [
  [TYPE, null],
  [TYPE, '5'],
  [RANGE, -1],
  [RANGE, Number.NaN],
  [RANGE, { timeout: -1 }],
  [TYPE, { signal: {} }],
  [VALUE, { mode: 'x' }],
  [VALUE, { maxSessions: 1 }],
]) {
  test(`acquire(${inspect(options)}) rejects with ${code}, and so do its kin`, async () => {
    const lock = postgresLock('x', { connection: { port: 1 } })
    assert.equal((await errorOf(() => lock.acquire(options))).code, code)
    assert.equal((await errorOf(() => lock.run(() => {}, options))).code, code)
    if (typeof options !== 'number') {
      const expected = options?.timeout === undefined ? code : VALUE
      assert.equal((await errorOf(() => lock.tryAcquire(options))).code, expected)
    }
  })
}

test('no message shows what may be a password', () => {
  const secret = 'postgres://user:secret@host/db'
  for (const options of [
    ...[secret, { connectionString: secret }, { conection: secret, timeout: 5 }, { connection: 'user:secret@host/db' }],
    { connection: { connectionString: 'user:secret@host/db' } },
  ]) {
    assert.throws(
      () => postgresLock('x', options),
      (error) => !error.message.includes('secret') && /connection/.test(error.message),
    )
  }
})

test('the connection strings of pg serve', () => {
  for (const connection of [
    ...['postgres://db/app', 'postgresql://db/app', 'POSTGRES://db/app', 'postgres:///app'],
    ...[
      '/run/postgresql',
      '/run/postgresql app',
      'socket:/run/postgresql?db=app',
      'socket://app:secret@/run/postgresql',
    ],
  ]) {
    assert.ok(postgresLock('x', { connection }))
    assert.ok(postgresLock('x', { connection: { connectionString: connection } }))
  }
  assert.ok(postgresLock('x', { connection: { connectionString: undefined } }))
})

test('the error of a connection string that is no URL does not show it', async () => {
  const error = await errorOf(() => postgresLock('x', { connection: 'postgres://app:secret@[db/app' }).acquire())
  assert.equal(error.code, 'ERR_INVALID_URL')
  // Older versions of pg leave the whole string there.
  assert.deepEqual(['input' in error, 'input' in error.cause], [false, false])
  assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /secret/)
})

test('run() needs a task, before it acquires', async () => {
  const lock = postgresLock('x', { connection: { port: 1 } })
  assert.equal((await errorOf(() => lock.run())).code, TYPE)
})

test('a handle cannot be cloned, shows what it is, and has methods of its own only', async () => {
  const lock = postgresLock('x')
  assert.throws(() => structuredClone(lock), /cannot be cloned/)
  assert.equal(inspect(lock), "PostgresLock { name: 'x', held: false }")
  assert.equal((await errorOf(() => lock.acquire.call({}))).code, 'ERR_INVALID_THIS')
  assert.throws(() => new Proxy(lock, {}).held, { code: 'ERR_INVALID_THIS' })
  assert.equal((await errorOf(() => lock.release())).code, 'ERR_LOCK_NOT_HELD')
})

test('the errors can be made by a test', () => {
  const error = new LockError('lost', { code: 'ERR_LOCK_LOST', lockName: 'x' })
  assert.deepEqual(JSON.parse(JSON.stringify(error)), {
    name: 'LockError',
    message: 'lost',
    code: 'ERR_LOCK_LOST',
    lockName: 'x',
  })
  const late = new LockTimeoutError('late', { lockName: 'x', timeout: 5 })
  assert.deepEqual(
    [late.code, late.timeout, late.holders, late.name],
    ['ERR_LOCK_TIMEOUT', 5, undefined, 'LockTimeoutError'],
  )
})

test('an error of the connection has the fields that the system gives it, and leads to the caller', async () => {
  const lock = postgresLock('x', { connection: { host: '127.0.0.1', port: 1 } })
  const error = await errorOf(async function caller() {
    await lock.acquire()
  })
  assert.deepEqual([error.code, error.syscall, error.port, error.lockName], ['ECONNREFUSED', 'connect', 1, 'x'])
  assert.match(error.stack, /caller/)
  assert.equal(error.cause.code, 'ECONNREFUSED')
  // Both addresses of a name are refused: an error that has no message of its own.
  const named = await errorOf(() => postgresLock('x', { connection: { host: 'localhost', port: 1 } }).acquire())
  assert.match(named.message, /ECONNREFUSED/)
})

test('each acquire and release is told to subscribers', { skip: obstacle }, async (t) => {
  const server = new Server()
  await server.start()
  t.after(() => server.remove())
  const told = []
  const on = (event) => (message) => told.push({ event, ...message })
  const events = { asyncEnd: on('asyncEnd'), error: on('error') }
  const released = on('released')
  tracingChannel('locket.postgres.acquire').subscribe(events)
  channel('locket.postgres.release').subscribe(released)
  const lock = postgresLock('traced', { connection: server.connection, timeout: 20_000 })
  await lock.acquire()
  const other = postgresLock('traced', { connection: server.connection, mode: 'shared' })
  const error = await errorOf(async function caller() {
    await other.acquire(10)
  })
  assert.match(error.stack, /caller/)
  await lock.release()
  tracingChannel('locket.postgres.acquire').unsubscribe(events)
  channel('locket.postgres.release').unsubscribe(released)
  const { token } = lock
  assert.deepEqual(
    told.map(({ result, ...message }) => message),
    [
      { event: 'asyncEnd', name: 'traced', mode: 'exclusive', timeout: 20_000, token },
      { event: 'error', name: 'traced', mode: 'shared', timeout: 10, error },
      { event: 'asyncEnd', name: 'traced', mode: 'shared', timeout: 10, error },
      { event: 'released', name: 'traced', token },
    ],
  )
})
