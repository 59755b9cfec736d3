'use strict'

// What this package and every program that takes the same kernel lock owe each other. The tests are the same for all
// of them; only how a program is told what to do differs.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { agent, eventually, staysPending, temporaryPath } = require('../support.js')

/** A wait that is bound to end in a refusal, in milliseconds. */
const SHORT = 50

/** Another process with a lock of its own, which speaks the protocol of fixtures/agent.js. */
class Agent {
  #talker

  constructor(talker) {
    this.#talker = talker
  }

  /** Starts a wait. Resolves, once it has begun, to `{ outcome }`: a promise of `'acquired'` or an error's code. */
  async acquire(options = {}) {
    assert.equal(await this.#talker.ask(`acquire ${JSON.stringify(options)}`), 'waiting')
    const outcome = this.#talker.line()
    // A test that fails earlier does not look at it, and the process is killed under it.
    outcome.catch(() => {})
    return { outcome }
  }

  /** Tries once. Resolves to whether it has the lock now. */
  async try() {
    return (await this.#talker.ask('try')) === 'true'
  }

  async release() {
    assert.equal(await this.#talker.ask('release'), 'released')
  }

  /** Kills the process that holds the lock, or waits for it. */
  kill() {
    return this.#talker.kill()
  }
}

/** A lock of this process, released when the test ends. */
function ownLock(t, file, options) {
  const lock = lockFile(file, options)
  t.after(() => lock.held && lock.release())
  return lock
}

/** A wait of `lock` without end. Given up when the test ends, or a test that fails would never let this process end. */
function startWaiting(t, lock) {
  const controller = new AbortController()
  t.after(() => controller.abort())
  const waiting = lock.acquire({ signal: controller.signal })
  waiting.catch(() => {})
  return waiting
}

async function acquires(neighbour, options) {
  const { outcome } = await neighbour.acquire(options)
  assert.equal(await outcome, 'acquired')
}

/** Every way in that does not wait for ever is closed to `lock`. */
async function refused(lock) {
  assert.equal(await lock.tryAcquire(), false)
  assert.equal(lock.tryAcquireSync(), false)
  for (const timeout of [0, SHORT]) {
    await assert.rejects(lock.acquire({ timeout }), { code: 'ERR_LOCK_TIMEOUT', timeout })
    assert.throws(() => lock.acquireSync({ timeout }), { code: 'ERR_LOCK_TIMEOUT', timeout })
  }
  assert.equal(lock.held, false)
}

/** The same for a neighbour. */
async function neighbourRefused(neighbour) {
  assert.equal(await neighbour.try(), false)
  const { outcome } = await neighbour.acquire({ timeout: SHORT })
  assert.equal(await outcome, 'ERR_LOCK_TIMEOUT')
}

/** Kills `holder` and waits for `waiting`. How long that takes is for the benchmark to say. */
async function outlives(waiting, holder) {
  const gone = holder.kill()
  const result = await eventually(waiting, 'getting in after the holder was killed')
  assert.equal((await gone).signal, 'SIGKILL')
  return result
}

/**
 * Tests a program called `name`. `available(t)` says whether it is there, and skips the test otherwise. `start(t, file)`
 * answers something with the methods of Agent.
 */
function testNeighbour(name, { available, start }) {
  test(`while ${name} holds the lock ours is refused, and gets in after the release`, async (t) => {
    if (!available(t)) return
    const file = temporaryPath(t)
    const neighbour = start(t, file)
    const lock = ownLock(t, file)

    await acquires(neighbour)
    await refused(lock)
    assert.equal(await lock.isLocked(), true)
    await neighbour.release()
    assert.equal(await neighbour.try(), true, 'a refused acquire has taken the lock afterwards')

    const waiting = startWaiting(t, lock)
    assert.ok(await staysPending(waiting, SHORT))
    await neighbour.release()
    await eventually(waiting, 'getting in after the release')
    assert.equal(lock.held, true)
    assert.equal(await neighbour.try(), false)
  })

  test(`while ours is held ${name} is refused, and gets in after the release`, async (t) => {
    if (!available(t)) return
    const file = temporaryPath(t)
    const lock = ownLock(t, file)
    assert.equal(await lock.tryAcquire(), true)
    // Started while the lock is held: it must not come to share what this process has open.
    const neighbour = start(t, file)

    await neighbourRefused(neighbour)
    lock.release()
    assert.equal(await lock.tryAcquire(), true, 'a refused neighbour has taken the lock afterwards')

    const { outcome } = await neighbour.acquire()
    assert.ok(await staysPending(outcome, SHORT))
    lock.release()
    assert.equal(await outcome, 'acquired')
    await refused(lock)
    await neighbour.release()
    assert.equal(await lock.tryAcquire(), true)
  })

  test(`${name} gets its turn between two processes of ours`, async (t) => {
    if (!available(t)) return
    const file = temporaryPath(t)
    const neighbour = start(t, file)
    const other = new Agent(agent(t, file))
    const lock = ownLock(t, file)

    await acquires(other)
    await neighbourRefused(neighbour)
    const { outcome } = await neighbour.acquire()
    assert.ok(await staysPending(outcome, SHORT))
    await other.release()
    assert.equal(await outcome, 'acquired')

    assert.equal(await other.try(), false)
    const waiting = startWaiting(t, lock)
    assert.ok(await staysPending(waiting, SHORT))
    await neighbour.release()
    await eventually(waiting, 'getting in after the release')
  })

  test(`when ${name} is killed while it holds the lock, ours gets in`, async (t) => {
    if (!available(t)) return
    const file = temporaryPath(t)
    const neighbour = start(t, file)
    const lock = ownLock(t, file)

    await acquires(neighbour)
    const waiting = startWaiting(t, lock)
    assert.ok(await staysPending(waiting, SHORT))
    assert.equal(await outlives(waiting, neighbour), lock)
    assert.equal(lock.held, true)
  })

  test(`when a process of ours is killed while it holds the lock, ${name} gets in`, async (t) => {
    if (!available(t)) return
    const file = temporaryPath(t)
    const holder = new Agent(agent(t, file))
    await acquires(holder)
    const neighbour = start(t, file)

    await neighbourRefused(neighbour)
    const { outcome } = await neighbour.acquire()
    assert.ok(await staysPending(outcome, SHORT))
    assert.equal(await outlives(outcome, holder), 'acquired')
    await refused(ownLock(t, file))
  })
}

module.exports = { Agent, SHORT, acquires, neighbourRefused, ownLock, refused, startWaiting, testNeighbour }
