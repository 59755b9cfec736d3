'use strict'

// What a lock promises, whoever uses it, at one server.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { LockError, LockTimeoutError, postgresLock } = require('..')
const { errorOf, eventually, staysPending, until } = require('../../../__test__/support/waiting.js')
const { countsOf, locksOf, newName, sessionsOf } = require('./support/locks.js')
const { useServer } = require('./support/server.js')

const server = useServer()

for (const where of ['lock', 'elsewhere']) {
  const place = where === 'lock' ? 'in this process' : 'in another process'

  test(`an exclusive lock has one holder: the next one, ${place}, gets it when it is released`, async (t) => {
    const locks = locksOf(t, server)
    const [one, two] = [locks.lock(), locks[where]()]
    assert.equal(await one.acquire(), one)
    assert.equal(one.held, true)
    assert.equal(await two.tryAcquire(), false)

    const wait = two.acquire()
    assert.equal(await staysPending(wait, 50), true)
    await one.release()
    assert.equal(one.held, false)
    assert.equal(await eventually(wait, 'the lock'), two)
    assert.equal(await one.tryAcquire(), false)
  })

  test(`a shared lock has many holders, and no exclusive one ${place}`, async (t) => {
    const locks = locksOf(t, server, { mode: 'shared' })
    const [one, two, writer] = [locks.lock(), locks[where](), locks[where]({ mode: 'exclusive' })]
    await one.acquire()
    await two.acquire(0)
    assert.equal(await writer.tryAcquire(), false)
    const wait = writer.acquire()
    await one.release()
    assert.equal(await staysPending(wait, 50), true)
    await two.release()
    await eventually(wait, 'the exclusive lock')
    assert.equal(await one.tryAcquire(), false)
    assert.equal(await one.tryAcquire({ mode: 'exclusive' }), false)
  })

  test(`a wait, ${place}, ends when its timeout does, and names the holder`, async (t) => {
    const client = await server.connect(t)
    const locks = locksOf(t, server)
    const [one, two] = [locks.lock(), locks[where]()]
    await one.acquire()
    for (const [options, timeout] of [
      [30, 30],
      [{ timeout: 30 }, 30],
      [0, 0],
    ]) {
      const start = performance.now()
      const error = await errorOf(() => two.acquire(options))
      // Node's timers may be early by less than a millisecond.
      assert.ok(performance.now() - start > timeout - 1)
      assert.ok(error instanceof LockTimeoutError && error instanceof LockError)
      const { message, ...fields } = error
      assert.equal(error.name, 'LockTimeoutError')
      assert.match(
        error.message,
        new RegExp(`^Couldn't lock ${locks.name}${timeout ? ' within 30 ms' : ''}: held by ${process.pid} on `),
      )
      assert.deepEqual(
        { code: fields.code, lockName: fields.lockName, timeout: fields.timeout },
        { code: 'ERR_LOCK_TIMEOUT', lockName: locks.name, timeout },
      )
      assert.deepEqual(error.holders, await one.holders())
      assert.match(error.stack, /lock\.test\.js/)
      assert.equal(JSON.parse(JSON.stringify(error)).message, error.message)
    }
    assert.deepEqual(await countsOf(client, locks.name), { held: 1, waiting: 0 })
  })

  test(`a signal ends a wait ${place}, also one that has fired before`, async (t) => {
    const client = await server.connect(t)
    const locks = locksOf(t, server)
    const [one, two] = [locks.lock(), locks[where]()]
    await one.acquire()
    const controller = new AbortController()
    const wait = two.acquire({ signal: controller.signal })
    assert.equal(await staysPending(wait, 50), true)
    const reason = new Error('enough')
    controller.abort(reason)
    for (const call of [
      () => wait,
      () => two.acquire({ signal: controller.signal }),
      () => two.tryAcquire({ signal: controller.signal }),
    ]) {
      const error = await errorOf(call)
      const { name, code, message, cause, lockName } = error
      assert.deepEqual(
        { name, code, message, lockName },
        { name: 'AbortError', code: 'ABORT_ERR', message: 'The operation was aborted', lockName: locks.name },
      )
      assert.equal(cause, reason)
    }
    assert.deepEqual(await countsOf(client, locks.name), { held: 1, waiting: 0 })
  })
}

test('requests of a process are served in their order, shared ones behind each other together', async (t) => {
  const { lock } = locksOf(t, server)
  const first = await lock().acquire()
  const order = []
  const held = new Set()
  const waits = [...'xssxsxx'].map(async (letter, i) => {
    const own = await lock().acquire({ mode: letter === 's' ? 'shared' : 'exclusive' })
    order.push(i)
    held.add(i)
    const together = letter === 's' ? [...held].every((other) => 'xssxsxx'[other] === 's') : held.size === 1
    await new Promise(setImmediate)
    held.delete(i)
    await own.release()
    return together
  })
  await first.release()
  assert.deepEqual(await eventually(Promise.all(waits), 'all'), Array(7).fill(true))
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6])
})

test('shared requests that are next to each other hold the lock together, in one session, with one token', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server, { mode: 'shared' })
  const writer = await locks.lock({ mode: 'exclusive' }).acquire()
  const readers = [1, 2, 3].map(() => locks.lock())
  const waits = readers.map((reader) => reader.acquire())
  await writer.release()
  await eventually(Promise.all(waits), 'all three')
  await readers.at(-1).holders()
  assert.deepEqual(await countsOf(client, locks.name), { held: 1, waiting: 0 })
  assert.equal(new Set(readers.map(({ token }) => token)).size, 1)
  await readers[0].release()
  await readers[2].release()
  assert.equal(await locks.elsewhere({ mode: 'exclusive' }).tryAcquire(), false)
  await readers[1].release()
  assert.equal(await locks.elsewhere({ mode: 'exclusive' }).tryAcquire(), true)
})

test('shared requests do not keep a process out that waits for the exclusive lock', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server, { mode: 'shared' })
  let current = await locks.lock().acquire()
  let isOver = false
  const relay = async () => {
    // There is a holder at any time, as long as the next one is let in beside the last.
    while (!isOver) {
      const next = locks.lock()
      const wait = next.acquire()
      if (await staysPending(wait, 200)) {
        await current.release()
        current = await wait
      } else {
        await current.release()
        current = next
      }
    }
  }
  const relaying = relay()
  const writer = locks.elsewhere({ mode: 'exclusive' })
  await eventually(writer.acquire(), 'the exclusive lock')
  assert.deepEqual(await countsOf(client, locks.name).then(({ held }) => held), 1)
  isOver = true
  await writer.release()
  await eventually(relaying, 'the end')
})

test('a try is refused while other requests of the process wait', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server, { mode: 'shared' })
  const holder = await locks.elsewhere().acquire()
  const wait = locks.lock({ mode: 'exclusive' }).acquire()
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  assert.equal(await eventually(locks.lock().tryAcquire(), 'the refusal'), false)
  assert.equal((await errorOf(() => locks.lock().acquire(0))).code, 'ERR_LOCK_TIMEOUT')
  await holder.release()
  await eventually(wait, 'the lock')
})

test('tries of a shared lock that are made at once hold it together, whether there is a session or not', async (t) => {
  const connection = { ...server.connection, application_name: 'tries' }
  const locks = locksOf(t, server, { mode: 'shared', connection })
  for (let round = 0; round < 3; round++) {
    const handles = Array.from({ length: 100 }, () => locks.lock())
    const tries = handles.map((handle, i) => (i % 2 === 0 ? handle.tryAcquire() : handle.acquire(0)))
    // A handle holds the lock once.
    const again = handles[0].tryAcquire()
    assert.deepEqual((await Promise.all(tries)).filter(Boolean).length, 100)
    assert.equal(await again, false)
    await Promise.all(handles.map((handle) => handle.release()))
  }
  const writer = await locks.elsewhere({ mode: 'exclusive' }).acquire()
  const tries = Array.from({ length: 100 }, () => locks.lock().tryAcquire())
  assert.deepEqual(new Set(await Promise.all(tries)), new Set([false]))
  const errors = await Promise.all(Array.from({ length: 3 }, () => errorOf(() => locks.lock().acquire(0))))
  for (const error of errors) assert.deepEqual(error.holders, await writer.holders())
})

test('a try that is refused because of another request of the process says so', async (t) => {
  const { lock } = locksOf(t, server)
  for (const mode of ['exclusive', 'shared']) {
    for (const first of ['exclusive', 'shared']) {
      if (mode === 'shared' && first === 'shared') continue
      const winner = lock({ mode: first })
      const wait = winner.acquire(0)
      const { message, holders } = await errorOf(() => lock({ mode }).acquire(0))
      assert.match(message, /: other requests of this thread wait for it$/)
      assert.equal(holders, undefined)
      await wait
      assert.match((await errorOf(() => lock({ mode }).acquire(0))).message, /: held by /)
      await winner.release()
    }
  }
})

test('the lock is not re-entrant, and a handle holds it once', async (t) => {
  for (const mode of ['exclusive', 'shared']) {
    const lock = await locksOf(t, server, { mode }).lock().acquire()
    assert.equal(await lock.tryAcquire(), false)
    const again = lock.acquire()
    assert.equal(await staysPending(again, 30), true)
    await lock.release()
    await eventually(again, 'the lock')
    assert.equal(lock.held, true)
  }
})

test('release() is of what the handle holds: otherwise it is an error', async (t) => {
  const locks = locksOf(t, server)
  const [one, two] = [locks.lock(), locks.lock()]
  await one.acquire()
  for (const handle of [two, locks.elsewhere()]) {
    const error = await errorOf(() => handle.release())
    assert.ok(error instanceof LockError)
    assert.equal(error.code, 'ERR_LOCK_NOT_HELD')
    assert.equal(error.message, `cannot release unlocked lock ${locks.name}`)
  }
  assert.equal(await one.release(), undefined)
  assert.equal((await errorOf(() => one.release())).code, 'ERR_LOCK_NOT_HELD')
})

test('when release() resolves, the server has released the lock', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  for (let i = 0; i < 20; i++) {
    const lock = await locks.lock().acquire()
    await lock.release()
    assert.equal((await countsOf(client, locks.name)).held, 0)
  }
})

test('run() holds the lock until the promise of its task is settled, and gives its result or error', async (t) => {
  const locks = locksOf(t, server)
  const [one, two] = [locks.lock(), locks.elsewhere()]
  const result = await one.run(async (lock) => {
    assert.equal(lock, one)
    assert.equal(await two.tryAcquire(), false)
    return 'done'
  })
  assert.equal(result, 'done')
  const failure = new Error('of the task')
  const failing = one.run(() => {
    throw failure
  })
  assert.equal(await failing.catch((error) => error), failure)
  assert.equal(one.held, false)
  assert.equal(await two.tryAcquire(), true)
  assert.equal((await errorOf(() => one.run(() => assert.fail(), 20))).code, 'ERR_LOCK_TIMEOUT')
})

test('run() does not call its task if the signal fires first, and releases only what it has acquired', async (t) => {
  const { lock } = locksOf(t, server)
  const one = lock()
  const controller = new AbortController()
  const { signal } = controller
  // It fires between the grant and the task.
  const proxy = {
    get aborted() {
      if (one.held) controller.abort()
      return signal.aborted
    },
    get reason() {
      return signal.reason
    },
    addEventListener: () => {},
    removeEventListener: () => {},
  }
  assert.equal((await errorOf(() => one.run(() => assert.fail(), { signal: proxy }))).code, 'ABORT_ERR')
  assert.equal(one.held, false)

  await one.run(async () => {
    await one.release()
    await one.acquire()
  })
  assert.equal(one.held, true)
})

test('a wait inside the task of a run that holds the same lock causes a warning, and its timeout says it', async (t) => {
  const { name, lock } = locksOf(t, server)
  const warning = new Promise((resolve) => process.once('warning', resolve))
  let inner
  await lock().run(async (own) => {
    assert.match(
      (await errorOf(() => lock().acquire(5))).message,
      /; it was waited for inside run\(\) of the same lock$/,
    )
    inner = own.run(() => 'inner')
    const { code, message } = await eventually(warning, 'the warning')
    assert.equal(code, 'LOCKET_NESTED_RUN')
    assert.match(message, new RegExp(`^A wait for ${name} has lasted 1000 ms inside run\\(\\) of the same lock`))
  })
  assert.equal(await eventually(inner, 'the inner run'), 'inner')
})

test('a wait that is not for the lock of the run around it says nothing of it', async (t) => {
  const [one, two] = [locksOf(t, server), locksOf(t, server)]
  await two.lock().acquire()
  const messageOf = async () => (await errorOf(() => two.lock().acquire(5))).message
  await one.lock().run(async () => assert.doesNotMatch(await messageOf(), /inside/))
  // A name in another database is another lock.
  const other = locksOf(t, server, { name: two.name, connection: { ...server.connection, database: 'template1' } })
  await other.lock().run(async () => assert.doesNotMatch(await messageOf(), /inside/))
  assert.doesNotMatch(await messageOf(), /inside/)
})

test('disposal releases what the handle holds, and nothing else', async (t) => {
  const locks = locksOf(t, server)
  const [one, two] = [locks.lock(), locks.lock()]
  await one.acquire()
  await two[Symbol.asyncDispose]()
  assert.equal(await two.tryAcquire(), false)
  await one[Symbol.asyncDispose]()
  await one[Symbol.asyncDispose]()
  assert.equal(await two.tryAcquire(), true)
  assert.equal(Symbol.dispose in two, false)
})

test('the token of each holder is greater than that of the last, on all hosts', async (t) => {
  const locks = locksOf(t, server)
  const handles = [locks.lock(), locks.elsewhere(), locks.lock(), locks.elsewhere()]
  assert.equal(handles[0].token, undefined)
  let last = 0n
  for (const handle of [...handles, ...handles]) {
    await handle.acquire()
    assert.equal(typeof handle.token, 'bigint')
    assert.ok(handle.token > last, `${handle.token} > ${last}`)
    last = handle.token
    await handle.release()
    assert.equal(handle.token, last)
    assert.equal(await handle.tryAcquire(), true)
    assert.ok(handle.token > last)
    last = handle.token
    await handle.release()
  }
})

test('the token is taken after the grant: of two that wait, the later one has the greater', async (t) => {
  const locks = locksOf(t, server)
  const client = await server.connect(t)
  const holder = await locks.lock().acquire()
  const waiters = [locks.elsewhere(), locks.elsewhere()]
  const waits = []
  for (const waiter of waiters) {
    waits.push(waiter.acquire())
    await until(async () => (await countsOf(client, locks.name)).waiting === waits.length, 'a wait')
  }
  const { rows } = await client.query('select pg_current_xact_id()::text as number')
  await holder.release()
  await eventually(waits[0], 'the first')
  assert.ok(waiters[0].token > BigInt(rows[0].number))
  await waiters[0].release()
  await eventually(waits[1], 'the second')
  assert.ok(waiters[1].token > waiters[0].token)
})

test('isLocked() and holders() tell of all sessions, and take no lock', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server, { mode: 'shared' })
  const asking = locks.lock()
  assert.equal(await asking.isLocked(), false)
  assert.deepEqual(await asking.holders(), [])
  const [one, two] = [locks.lock(), locks.elsewhere()]
  await one.acquire()
  assert.equal(await asking.isLocked(), true)
  await two.acquire()
  const [second, first, ...none] = (await asking.holders()).sort((a, b) => (a.pid ?? 0) - (b.pid ?? 0))
  assert.deepEqual(none, [])
  const { hostname } = require('node:os')
  const common = { mode: 'shared', address: '127.0.0.1' }
  const own = { pid: process.pid, host: hostname(), application: `locket:${hostname()}:${process.pid}` }
  assert.deepEqual(first, { ...common, ...own, serverPid: first.serverPid })
  assert.deepEqual(second, { ...common, application: 'elsewhere 1', serverPid: second.serverPid })
  assert.deepEqual(await countsOf(client, locks.name), { held: 2, waiting: 0 })
  await one.release()
  assert.equal(await asking.isLocked(), true)
})

const NAMES = {
  'of quotes and backslashes': `'"\\'' \\\\ '; drop table x; --`,
  'with any characters': 'naïve 😀 \n\t\u0001 £',
  'that is long': 'x'.repeat(100_000),
  'that looks like a placeholder': '$1',
}

for (const [what, name] of Object.entries(NAMES)) {
  test(`a name ${what} is a lock of its own`, async (t) => {
    const locks = locksOf(t, server, { name })
    const client = await server.connect(t)
    const one = await locks.lock().acquire()
    assert.equal(one.name, name)
    assert.equal(await locks.elsewhere().tryAcquire(), false)
    assert.equal(await postgresLock(`${name} `, { connection: server.connection }).isLocked(), false)
    assert.deepEqual(await countsOf(client, name), { held: 1, waiting: 0 })
    await one.release()
    assert.equal(await one.isLocked(), false)
  })
}

test('backslashes mean themselves also where the server reads strings in the old way', async (t) => {
  const name = "\\'"
  const old = { connection: { ...server.connection, options: '-c standard_conforming_strings=off' } }
  const locks = locksOf(t, server, { name })
  const one = await locks.lock(old).acquire()
  assert.equal((await one.holders()).length, 1)
  assert.equal((await locks.lock().holders()).length, 1)
})

test('a thousand waiters of a process take one session, and all get the lock', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  const connection = { ...server.connection, application_name: 'a thousand' }
  const holder = await locks.elsewhere().acquire()
  let count = 0
  const waits = Array.from({ length: 1000 }, async () => {
    const own = await locks.lock({ connection }).acquire()
    count++
    await own.release()
  })
  await until(async () => (await countsOf(client, locks.name)).waiting === 1, 'a wait')
  assert.equal(await sessionsOf(client, 'a thousand'), 1)
  await holder.release()
  await eventually(Promise.all(waits), 'all')
  assert.equal(count, 1000)
  assert.equal(await sessionsOf(client, 'a thousand'), 1)
})

test('a thousand waits end together, and leave nothing', async (t) => {
  const client = await server.connect(t)
  const locks = locksOf(t, server)
  await locks.elsewhere().acquire()
  const controller = new AbortController()
  const waits = Array.from({ length: 1000 }, (_, i) =>
    errorOf(() => locks.lock().acquire(i % 2 === 0 ? 50 : { signal: controller.signal })),
  )
  setTimeout(() => controller.abort(), 40)
  const codes = (await Promise.all(waits)).map(({ code }) => code)
  assert.equal(codes.filter((code) => code === 'ERR_LOCK_TIMEOUT').length, 500)
  assert.equal(codes.filter((code) => code === 'ABORT_ERR').length, 500)
  assert.deepEqual(await countsOf(client, locks.name), { held: 1, waiting: 0 })
})

test('functions of others on the search path are not called', async (t) => {
  const client = await server.connect(t)
  await client.query(`create schema trap; create function trap.hashtextextended(text, integer) returns bigint
    language sql as 'select 1::bigint'; create function trap.pg_advisory_unlock(bigint) returns boolean
    language sql as 'select false'`)
  const options = { connection: { ...server.connection, options: '-c search_path=trap,pg_catalog' } }
  const locks = locksOf(t, server, { name: newName() })
  const lock = await locks.lock(options).acquire()
  assert.equal((await countsOf(client, locks.name)).held, 1)
  await lock.release()
  assert.equal((await countsOf(client, locks.name)).held, 0)
})
