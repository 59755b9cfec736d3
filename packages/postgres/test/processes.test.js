'use strict'

// Processes that are killed, stopped, or end with a lock, and worker threads.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { once } = require('node:events')
const net = require('node:net')
const path = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { onLinux } = require('../../../__test__/support/systems.js')
const { eventually, staysPending, until } = require('../../../__test__/support/waiting.js')
const { startAgent, startThread } = require('./support/agents.js')
const { countsOf, locksOf, newName, pidsOf } = require('./support/locks.js')
const { useServer } = require('./support/server.js')

const server = useServer()

test('the lock of a process that is killed is free at once', async (t) => {
  const locks = locksOf(t, server)
  const agent = startAgent(t, locks.name, { connection: server.connection })
  await agent.acquire()
  const wait = locks.lock().acquire()
  assert.equal(await staysPending(wait, 50), true)
  const start = performance.now()
  await agent.kill('SIGKILL')
  await eventually(wait, 'the lock')
  t.diagnostic(`${(performance.now() - start).toFixed(1)} ms`)
})

test('a waiter that is killed leaves the queue of the server, and does not hold up those behind it', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server, { mode: 'shared' })
  await locks.lock().acquire()
  const agent = startAgent(t, locks.name, { connection: server.connection })
  agent.acquire().catch(() => {})
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  const behind = locks.elsewhere().acquire()
  assert.equal(await staysPending(behind, 50), true)
  await agent.kill('SIGKILL')
  await eventually(behind, 'the shared lock')
})

test('a process that is stopped and goes on after it has lost its lock has a smaller token, which storage refuses', async (t) => {
  const client = await server.connect(t)
  await client.query('create table report (body text, token bigint); insert into report values (null, null)')
  const name = newName()
  const [paused, next] = [1, 2].map(() => startAgent(t, name, { connection: server.connection }))
  const token = BigInt(await paused.acquire())
  assert.equal(await paused.write('first'), true)
  paused.kill('SIGSTOP')
  // As if its host were gone: the server ends the session.
  for (const pid of await pidsOf(client, name)) await client.query('select pg_terminate_backend($1)', [pid])
  const nextToken = BigInt(await next.acquire())
  assert.ok(nextToken > token)
  assert.equal(await next.write('second'), true)

  // It writes before it does anything else.
  const write = paused.write('late')
  paused.kill('SIGCONT')
  assert.equal(await eventually(write, 'the write'), false)
  assert.equal((await eventually(paused.lost, 'the loss')).code, 'ERR_LOCK_LOST')
  const { rows } = await client.query('select body from report')
  assert.deepEqual(rows, [{ body: 'second' }])
})

/** Runs a program with a function `lock(name)` in a process of its own. Resolves to what it prints. */
function run(code, connection = server.connection) {
  return new Promise((resolve, reject) => {
    const source = `const { postgresLock } = require(${JSON.stringify(path.join(__dirname, '..'))})
      const lock = (name) => postgresLock(name, { connection: ${JSON.stringify(connection)} })
      ;(async () => { ${code} })()`
    execFile(process.execPath, ['-e', source], { timeout: 20_000 }, (error, stdout) =>
      error ? reject(error) : resolve(stdout.trim()),
    )
  })
}

test('a held lock does not keep a process alive, and its end releases it; a wait keeps it alive', async (t) => {
  const client = await server.connect(t)
  const start = performance.now()
  assert.equal(await run("await lock('held').acquire(); console.log('held')"), 'held')
  // An idle session does not, either.
  assert.equal(await run("await lock('a').run(() => {}); console.log('idle')"), 'idle')
  assert.ok(performance.now() - start < 8000)
  await until(async () => (await countsOf(client, 'held')).held === 0, 'the release')

  const locks = locksOf(t, server, { name: 'waited for' })
  const holder = await locks.lock().acquire()
  const waiting = run("await lock('waited for').acquire(); console.log('granted')")
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  assert.equal(await staysPending(waiting, 300), true)
  await holder.release()
  assert.equal(await waiting, 'granted')
  // A wait that stands behind one of its own process, which needs no connection.
  const inLine = "const held = await lock('b').acquire(); setTimeout(() => held.release(), 200).unref()"
  assert.equal(await run(`${inLine}; await lock('b').acquire(); console.log('granted')`), 'granted')
})

/** Returns the port of a host that drops packets: its queue is full, and nobody takes connections from it. */
async function deafPort(t) {
  const source = `const { parentPort } = require('node:worker_threads')
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`
  const worker = new Worker(source, { eval: true })
  t.after(() => worker.terminate())
  const [port] = await once(worker, 'message')
  for (let i = 0; i < 2; i++) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {})
    t.after(() => socket.destroy())
    await once(socket, 'connect')
  }
  return port
}

test('a connection that never comes about keeps a process alive no longer than its wait', onLinux, async (t) => {
  const connection = { ...server.connection, port: await deafPort(t), connectionTimeoutMillis: 600_000 }
  const code = "await lock('x').acquire(100).catch(({ message }) => console.log(message))"
  assert.equal(await run(code, connection), "Couldn't lock x within 100 ms: there is no connection yet")
})

test('worker threads exclude each other, with sessions of their own, and the end of one releases its lock', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const threads = [1, 2].map(() => startThread(t, locks.name, { connection: server.connection }))
  const token = BigInt(await threads[0].acquire())
  assert.equal(await threads[1].tryAcquire(), false)
  assert.equal(await locks.lock().tryAcquire(), false)
  const wait = threads[1].acquire()
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  await threads[0].worker.terminate()
  assert.ok(BigInt(await eventually(wait, 'the lock')) > token)
  const own = locks.lock().acquire()
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  await threads[1].release()
  await eventually(own, 'the lock')
})
