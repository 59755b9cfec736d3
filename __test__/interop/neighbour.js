'use strict'

// What this package and every program that takes the same kernel lock owe each other. The tests are the same for all
// of them; only how a program is told what to do differs.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { agent } = require('../support/processes.js')
const { eventually, staysPending } = require('../support/waiting.js')

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
  t.after(() => lock[Symbol.dispose]())
  return lock
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

/** `lock` waits, and gets in when `end` has ended the hold of the other. */
async function getsInAfter(t, lock, end) {
  // Given up when the test ends, or a test that fails would never let this process end.
  const waiting = lock.acquire({ signal: t.signal })
  assert.ok(await staysPending(waiting, SHORT))
  await end()
  assert.equal(await eventually(waiting, 'getting in'), lock)
  assert.equal(lock.held, true)
}

/** The same for a neighbour. */
async function neighbourGetsInAfter(neighbour, end) {
  const { outcome } = await neighbour.acquire()
  assert.ok(await staysPending(outcome, SHORT))
  await end()
  assert.equal(await outcome, 'acquired')
}

/** Kills `holder`. How long that takes is for the benchmark to say. */
const killing = (holder) => async () => assert.equal((await holder.kill()).signal, 'SIGKILL')

/**
 * Tests a program called `name`. `options`: those of a test that needs the program. `start(t, file)` answers something with
 * the methods of Agent. `own`: options of our lock. `newPath(t)` answers a path to lock. `outlived`: the lock is there when
 * the program is dead.
 */
function testNeighbour(name, { options, start, own, newPath = temporaryPath, outlived = false }) {
  test(`while ${name} holds the lock ours is refused, and gets in after the release`, options, async (t) => {
    const file = newPath(t)
    const neighbour = start(t, file)
    const lock = ownLock(t, file, own)
    await acquires(neighbour)
    await refused(lock)
    assert.equal(await lock.isLocked(), true)
    await neighbour.release()
    assert.equal(await neighbour.try(), true, 'a refused acquire has taken the lock afterwards')
    await getsInAfter(t, lock, () => neighbour.release())
    assert.equal(await neighbour.try(), false)
  })

  test(`while ours is held ${name} is refused, and gets in after the release`, options, async (t) => {
    const file = newPath(t)
    const lock = ownLock(t, file, own)
    assert.equal(await lock.tryAcquire(), true)
    // Started while the lock is held: it must not come to share what this process has open.
    const neighbour = start(t, file)
    await neighbourRefused(neighbour)
    lock.release()
    assert.equal(await lock.tryAcquire(), true, 'a refused neighbour has taken the lock afterwards')
    await neighbourGetsInAfter(neighbour, () => lock.release())
    await refused(lock)
    await neighbour.release()
    assert.equal(await lock.tryAcquire(), true)
  })

  test(`${name} gets its turn between two processes of ours`, options, async (t) => {
    const file = newPath(t)
    const neighbour = start(t, file)
    const other = new Agent(agent(t, file, own))
    const lock = ownLock(t, file, own)
    await acquires(other)
    await neighbourRefused(neighbour)
    await neighbourGetsInAfter(neighbour, () => other.release())
    assert.equal(await other.try(), false)
    await getsInAfter(t, lock, () => neighbour.release())
  })

  if (outlived) return
  test(`when ${name} or a process of ours is killed while it holds the lock, the other gets in`, options, async (t) => {
    const file = newPath(t)
    const holder = start(t, file)
    const lock = ownLock(t, file, own)
    await acquires(holder)
    await getsInAfter(t, lock, killing(holder))
    lock.release()
    const dying = new Agent(agent(t, file, own))
    await acquires(dying)
    const neighbour = start(t, file)
    await neighbourRefused(neighbour)
    await neighbourGetsInAfter(neighbour, killing(dying))
    await refused(lock)
  })
}

module.exports = {
  Agent,
  acquires,
  getsInAfter,
  killing,
  neighbourGetsInAfter,
  neighbourRefused,
  ownLock,
  refused,
  testNeighbour,
}
