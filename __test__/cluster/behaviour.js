'use strict'

// What a lock does between two clients of any file system. In each test, `a` and `b` are processes at two clients, and `file` is
// the name of a lock file that no other test uses. If a test resolves to a text, the table at the end shows it.

const assert = require('node:assert/strict')

const { errorOf, eventually, PATIENCE, until } = require('../support/waiting.js')

/** Asserts that a request times out, after `least` milliseconds or more. Returns the time that it took. */
async function timesOut(request, least) {
  const { code, ms } = await errorOf(() => request)
  assert.equal(code, 'ERR_LOCK_TIMEOUT')
  assert.ok(ms >= least, `rejected after ${ms.toFixed()} ms, before ${least}`)
  return ms
}

/** Each of these agents acquires the lock and releases it. It waits, as the server may not have heard of a release yet. */
async function isFreeFor(file, ...agents) {
  for (const agent of agents) {
    await until(() => agent.ask('try', { file }), 'the lock')
    await agent.ask('release', { file })
  }
}

const shown = (ms) => (ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`)

/** Calls `begin`. Returns the time until `end` is fulfilled, in milliseconds. */
async function timed(begin, end, what, patience = PATIENCE) {
  const since = performance.now()
  await begin()
  await eventually(end, what, patience)
  return performance.now() - since
}

/** The median of times, and the longest. */
function summary(times) {
  const sorted = times.toSorted((x, y) => x - y)
  return `${shown(sorted[sorted.length >> 1])}, at most ${shown(sorted.at(-1))}`
}

/** Has `waiter` wait for a lock, then calls `end`, which ends the hold. Returns the time from that to the grant. */
async function handOver(waiter, file, end) {
  const { granted } = await waiter.waitFor({ file })
  return timed(end, granted, 'the lock')
}

/** Tests in which no client is lost. They run one after the other. */
const ordinary = {
  async 'both clients have mounted it, and see the same files'({ a, b, file, system }) {
    for (const agent of [a, b]) assert.equal(await agent.ask('mounted'), system.type)
    await a.ask('write', { file, text: 'from a' })
    assert.equal(await b.ask('read', { file }), 'from a')
  },

  async 'an exclusive lock excludes the other client'({ a, b, file }) {
    assert.equal(await a.ask('try', { file }), true)
    assert.equal(await b.ask('try', { file }), false)
    assert.equal(await b.ask('try', { file, mode: 'shared' }), false)
    await timesOut(b.request('acquire', { file, timeout: 0 }), 0)
    await a.ask('release', { file })
    await until(() => b.ask('try', { file }), 'the lock')
    assert.equal(await a.ask('try', { file }), false)
    await b.ask('release', { file })
  },

  async 'a lock stays held when its process opens and closes the file, or another handle is refused'({ a, b, file }) {
    await a.ask('write', { file, text: '' })
    assert.equal(await a.ask('try', { file }), true)
    await a.ask('open', { file })
    assert.equal(await b.ask('try', { file }), false)
    assert.equal(await a.ask('try', { file, handle: 'other' }), false)
    assert.equal(await b.ask('try', { file }), false)
    await a.ask('release', { file })
    await isFreeFor(file, b, a)
  },

  async 'shared locks are held together, and exclude an exclusive one'({ a, b, clients, file }) {
    const other = await clients[1].agent()
    for (const agent of [a, b]) assert.equal(await agent.ask('try', { file, mode: 'shared' }), true)
    // At last, only the shared lock of the other client keeps it out.
    for (const agent of [b, a]) {
      assert.equal(await other.ask('try', { file }), false)
      await agent.ask('release', { file })
    }
    await isFreeFor(file, other, a)
    await other.kill()
  },

  async 'a wait times out, and takes nothing afterwards'({ a, b, file }) {
    assert.equal(await a.ask('try', { file }), true)
    const ms = await timesOut(b.request('acquire', { file, timeout: 500 }), 500)
    await a.ask('release', { file })
    await isFreeFor(file, a)
    assert.equal(await b.ask('held', { file }), false)
    return shown(ms)
  },

  async 'a wait in the kernel is aborted, and its process can end'({ a, clients, file }) {
    assert.equal(await a.ask('try', { file }), true)
    const waiter = await clients[1].agent()
    const { granted } = await waiter.waitFor({ file })
    const ms = await timed(
      () => waiter.ask('abort'),
      errorOf(() => granted).then(({ code }) => assert.equal(code, 'ABORT_ERR')),
      'the abort',
    )
    await waiter.ask('exit')
    await eventually(waiter.exited, 'the end of the process')
    await a.ask('release', { file })
    await isFreeFor(file, a)
    return shown(ms)
  },

  async 'a waiter that is killed is gone at once, and takes nothing afterwards'({ a, b, clients, file }) {
    assert.equal(await a.ask('try', { file }), true)
    const waiter = await clients[1].agent()
    await waiter.waitFor({ file })
    await waiter.kill()
    await a.ask('release', { file })
    await isFreeFor(file, b, a)
  },

  async 'the next one gets the lock of a holder that is killed'({ b, clients, file }) {
    const times = []
    for (let i = 0; i < 3; i++) {
      const holder = await clients[0].agent()
      assert.equal(await holder.ask('try', { file }), true)
      times.push(await handOver(b, file, () => holder.kill()))
      await b.ask('release', { file })
      await isFreeFor(file, b)
    }
    return summary(times)
  },

  async 'a release hands the lock over to the other client'({ a, b, file }) {
    const times = []
    assert.equal(await a.ask('try', { file }), true)
    for (let i = 0; i < 10; i++) {
      const [holder, waiter] = i % 2 === 0 ? [a, b] : [b, a]
      times.push(await handOver(waiter, file, () => holder.request('release', { file })))
      assert.equal(await holder.ask('held', { file }), false)
    }
    await a.ask('release', { file })
    return summary(times)
  },

  async 'what one client writes to another file under the lock, the next one reads'({ a, b, file }) {
    const counter = `${file}.count`
    const times = 50
    await a.ask('write', { file: counter, text: '00000000' })
    await Promise.all([a, b].map((agent) => agent.ask('count', { file, counter, times })))
    await isFreeFor(file, a)
    assert.equal(Number(await a.ask('read', { file: counter })), 2 * times)
  },

  async 'isLocked() is right at both clients'({ a, b, file, system }) {
    for (const agent of [a, b]) assert.equal(await agent.ask('isLocked', { file }), false)
    assert.equal(await a.ask('try', { file }), true)
    for (const agent of [a, b]) {
      await until(() => agent.ask('isLocked', { file }), 'the lock', system.seesNewFilesAfter)
    }
    await a.ask('release', { file })
    for (const agent of [a, b]) await until(async () => !(await agent.ask('isLocked', { file })), 'the release')
  },

  async 'holders() never names a wrong process'({ a, b, file, system }) {
    assert.equal(await a.ask('try', { file }), true)
    assert.deepEqual(await a.ask('holders', { file }), system.namesOwn ? [a.pid] : [])
    assert.deepEqual(await b.ask('holders', { file }), [])
    await a.ask('release', { file })
    return system.namesOwn ? 'its own' : 'none'
  },

  async 'a file that is deleted during a wait is made anew, by one client'(test) {
    await changesWhileAwaited(test, 'delete')
  },

  async 'of a file that is replaced during a wait, the new one is locked'(test) {
    await changesWhileAwaited(test, 'replace')
  },

  async 'removeOnRelease is refused, before anything is locked or made'({ a, b, file }) {
    const options = { removeOnRelease: true }
    assert.equal((await errorOf(() => a.request('acquire', { file, options }))).code, 'ERR_LOCK_UNSUPPORTED')
    for (const agent of [a, b]) assert.equal(await agent.ask('exists', { file }), false)
  },

  async 'a name that the server does not allow is refused at once'({ a, system }) {
    if (!system.forbids) return 'not tried'
    const { name, code } = system.forbids
    assert.equal((await errorOf(() => a.request('acquire', { file: name }))).code, code)
  },

  async 'while the server does not answer, calls are bounded, and none takes a lock afterwards'(test) {
    const { a, b, file, servers } = test
    const [timedOut, tried] = [`${file}.timeout`, `${file}.try`]
    assert.equal(await a.ask('try', { file }), true)
    const { granted } = await b.waitFor({ file })
    for (const server of servers) server.signal('SIGSTOP')
    try {
      const ms = await timesOut(a.request('acquire', { file: timedOut, timeout: 500 }), 500)
      await timesOut(a.request('try', { file: tried }), 4900)
      assert.equal(await a.ask('isLocked', { file }), true)
      await a.ask('release', { file })
      assert.equal(await a.ask('held', { file }), false)
      for (const server of servers) server.signal('SIGCONT')
      const after = await timed(() => {}, granted, 'the lock')
      for (const each of [timedOut, tried]) await isFreeFor(each, b)
      await b.ask('release', { file })
      return `timeout of 500 after ${shown(ms)}, then ${shown(after)}`
    } finally {
      for (const server of servers) server.signal('SIGCONT')
    }
  },
}

/** The client of the holder makes the change, then that of the waiter. The file system may refuse it. */
async function changesWhileAwaited({ a, b, file, system }, change) {
  for (const agent of [a, b]) {
    await until(() => a.ask('try', { file }), 'the lock')
    const { granted } = await b.waitFor({ file })
    const refusal = await agent.ask(change, { file }).then(
      () => undefined,
      ({ code }) => code,
    )
    assert.equal(refusal, system.refuses?.[change])
    await a.ask('release', { file })
    await eventually(granted, 'the lock')
    for (const each of system.deletesOpenFiles ? [a, b] : []) {
      await until(() => each.ask('exists', { file }), 'the new file')
    }
    assert.equal(await a.ask('try', { file }), false)
    await b.ask('release', { file })
    await isFreeFor(file, a)
  }
}

/** Asserts that the server gives the lock of a lost client on to the other one, and when. Returns the time that it took. */
async function isGivenOn({ granted, system }, lose) {
  const { least, most } = system.givenOn
  const ms = await timed(lose, granted, 'the lock of a lost client', most * 1000)
  assert.ok(ms >= least * 1000, `given on after ${shown(ms)}, before ${least} s`)
  return ms
}

/** Tests that lose `client`, which is not that of `b`, some for good. */
const lost = {
  async 'the lock of a client that is cut off is given on; it is not told, and excluded when it is back'(test) {
    const { b, client, file, system } = test
    const [a, other] = [await client.agent(), await client.agent()]
    assert.equal(await a.ask('try', { file }), true)
    const { granted } = await b.waitFor({ file })
    const ms = await isGivenOn({ ...test, granted }, () => client.cut())
    for (const [question, answer] of [
      ['held', true],
      ['lost', false],
    ]) {
      assert.equal(await a.ask(question, { file }), answer)
    }
    await timesOut(a.request('acquire', { file: `${file}.other`, timeout: 500 }), 500)
    await client.heal()
    const answer = (op, fields) =>
      other.request(op, fields).then(
        ({ value }) => value,
        ({ code }) => code,
      )
    const { afterCut } = system
    const isBack = async () =>
      (await answer('acquire', { file: `${file}.other`, timeout: 1000 })) === (afterCut ?? true)
    await until(isBack, 'a client that is back')
    // `b` holds the lock, although `held` of `a` is still true.
    assert.equal(await answer('try', { file }), afterCut ?? false)
    await a.ask('release', { file })
    assert.equal(await answer('try', { file }), afterCut ?? false)
    assert.equal(await b.ask('held', { file }), true)
    await b.ask('release', { file })
    await isFreeFor(file, b)
    return shown(ms)
  },

  async 'the lock of a client that dies is given on'(test) {
    const { b, client, file } = test
    const a = await client.agent()
    assert.equal(await a.ask('try', { file }), true)
    const { granted } = await b.waitFor({ file })
    const ms = await isGivenOn({ ...test, granted }, () => client.die())
    await b.ask('release', { file })
    await isFreeFor(file, b)
    return shown(ms)
  },
}

module.exports = { lost, ordinary }
