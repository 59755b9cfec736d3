'use strict'

// A pooler between the lock and the server: pgbouncer, in the modes in which it gives away sessions, and a server that is not
// what it should be.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { LockError } = require('..')
const { unavailable } = require('../../../__test__/support/systems.js')
const { errorOf, eventually, staysPending } = require('../../../__test__/support/waiting.js')
const { countsOf, locksOf } = require('./support/locks.js')
const { proxyOf } = require('./support/proxy.js')
const { openFolder, programOf, startProgram, unusedPort, useServer } = require('./support/server.js')

const server = useServer()

/** Starts pgbouncer, until the test ends. Returns its connection; or undefined, if it is missing. */
async function startPooler(t, mode) {
  const program = programOf('pgbouncer')
  if (program === undefined) return unavailable(t, 'pgbouncer is not installed') || undefined
  const folder = openFolder()
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const port = await unusedPort('127.0.0.1')
  const file = path.join(folder, 'pgbouncer.ini')
  const { host, port: serverPort, database, user } = server.connection
  const settings = {
    ...{ listen_addr: '127.0.0.1', listen_port: port, unix_socket_dir: '', auth_type: 'any', pool_mode: mode },
    ...{ default_pool_size: 4, pidfile: path.join(folder, 'pid') },
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  const target = `${database} = host=${host} port=${serverPort} dbname=${database} user=${user}`
  fs.writeFileSync(file, ['[databases]', target, '[pgbouncer]', ...lines, ''].join('\n'))
  const stop = await startProgram(program, [file], { isReady: /process up/, signal: 'KILL', folder })
  t.after(() => stop())
  return { ...server.connection, port }
}

for (const mode of ['transaction', 'statement', 'session']) {
  test(`pgbouncer in ${mode} mode is refused`, async (t) => {
    const connection = await startPooler(t, mode)
    if (connection === undefined) return
    const lock = locksOf(t, server, { connection }).lock()
    for (const call of [() => lock.acquire(), () => lock.tryAcquire(), () => lock.isLocked(), () => lock.holders()]) {
      const error = await errorOf(call)
      assert.ok(error instanceof LockError)
      assert.equal(error.code, 'ERR_LOCK_UNSUPPORTED')
      assert.equal(error.lockName, lock.name)
      assert.match(error.message, /behind a connection pooler/)
    }
  })
}

test('allowPooler lets pgbouncer in session mode in, whose locks are those of the server', async (t) => {
  const connection = await startPooler(t, 'session')
  if (connection === undefined) return
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const pooled = locks.lock({ connection, allowPooler: true })
  const direct = locks.lock()
  await pooled.acquire()
  assert.equal(await direct.tryAcquire(), false)
  const wait = direct.acquire()
  assert.equal(await staysPending(wait, 50), true)
  const token = pooled.token
  await pooled.release()
  await eventually(wait, 'the lock')
  assert.ok(direct.token > token)
  // A cancellation goes through the pooler.
  assert.equal((await errorOf(() => pooled.acquire(50))).code, 'ERR_LOCK_TIMEOUT')
  assert.deepEqual(await countsOf(client, locks.name), { held: 1, waiting: 0 })
  // The same connection without the option is still refused.
  assert.equal((await errorOf(() => locks.lock({ connection }).tryAcquire())).code, 'ERR_LOCK_UNSUPPORTED')
})

/** What the server says of itself, and what is found wrong with it. */
const SERVERS = {
  'PostgreSQL 12': [(text) => text.replace(/\b(1[3-9]|[2-9]\d)(\d{4})\b/, '12$2'), /PostgreSQL 13 or newer is needed/],
  'another product': [(text) => text.replace('PostgreSQL 1', 'CockroachD 1'), /not PostgreSQL.*CockroachD/],
}

for (const [what, [edit, message]] of Object.entries(SERVERS)) {
  test(`${what} is refused`, async (t) => {
    const proxy = await proxyOf(t, server, edit)
    const lock = locksOf(t, server, { connection: proxy.connection }).lock()
    const error = await errorOf(() => lock.acquire())
    assert.equal(error.code, 'ERR_LOCK_UNSUPPORTED')
    assert.match(error.message, message)
  })
}

test('a standby is refused: its locks are its own', async (t) => {
  const proxy = await proxyOf(t, server, (text) =>
    /PostgreSQL \d/.test(text) ? text.replace('\0\0\0\x01f', '\0\0\0\x01t') : text,
  )
  const lock = locksOf(t, server, { connection: proxy.connection }).lock()
  const error = await errorOf(() => lock.acquire())
  assert.equal(error.code, 'ERR_LOCK_UNSUPPORTED')
  assert.match(error.message, /standby/)
})
