'use strict'

// A server with TLS: waiting, cancelling, and the end of the process.

const assert = require('node:assert/strict')
const { execFile, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')

const { needing } = require('../../../__test__/support/systems.js')
const { errorOf, until } = require('../../../__test__/support/waiting.js')
const { countsOf, locksOf } = require('./support/locks.js')
const { useServer } = require('./support/server.js')

const openssl = needing('openssl', ['version'])

/** Makes a certificate, as the server wants to have it. */
function certify(data) {
  const [key, certificate] = ['server.key', 'server.crt'].map((name) => path.join(data, name))
  const files = ['-keyout', key, '-out', certificate]
  const options = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost', ...files]
  assert.equal(spawnSync('openssl', options).status, 0)
  const { uid, gid } = fs.statSync(data)
  for (const file of [key, certificate]) fs.chownSync(file, uid, gid)
  fs.chmodSync(key, 0o600)
}

const server = useServer(openssl.skip ? {} : { settings: ['ssl=on'], prepare: certify })

const secure = () => ({ ...server.connection, ssl: { rejectUnauthorized: false } })

test('a wait that ends is cancelled by TLS, too, and holds nothing', openssl, async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  await locks.elsewhere().acquire()
  const lock = locks.lock({ connection: secure() })
  const controller = new AbortController()
  const wait = errorOf(() => lock.acquire({ signal: controller.signal }))
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  const { rows } = await client.query(
    `select ssl from pg_stat_ssl join pg_locks using (pid) where locktype = 'advisory' and not granted`,
  )
  assert.deepEqual(rows, [{ ssl: true }])
  controller.abort()
  assert.equal((await wait).code, 'ABORT_ERR')
  assert.deepEqual(await countsOf(client, locks.name), { held: 1, waiting: 0 })
})

test('a lock that is held by TLS does not keep a process alive', openssl, async () => {
  const source = `const { postgresLock } = require(${JSON.stringify(path.join(__dirname, '..'))})
    postgresLock('tls', { connection: ${JSON.stringify(secure())} }).acquire().then(() => console.log('held'))`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', source], { timeout: 20_000 })
  assert.equal(stdout, 'held\n')
})
