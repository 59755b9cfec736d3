'use strict'

// flock(1) of util-linux.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Talker, eventually, needs, staysPending, temporaryPath } = require('../support.js')
const { SHORT, acquires, neighbourRefused, ownLock, refused, startWaiting, testNeighbour } = require('./neighbour.js')

/** What flock exits with when it is refused: a number that the shell and its failures do not use. */
const REFUSED = 75

const HOLD = 'echo acquired; read line'

/** flock(1) for one file, by the methods of Agent (see neighbour.js). Each acquire is a process of its own. */
class Flock {
  #t
  #file
  #mode
  #process

  constructor(t, file, mode = 'exclusive') {
    this.#t = t
    this.#file = file
    this.#mode = mode
  }

  async acquire({ timeout } = {}) {
    const limit = timeout === 0 ? ['--nonblock'] : timeout === undefined ? [] : ['--timeout', String(timeout / 1000)]
    // --no-fork: with a child, there would be two processes that have the locked file open, and one of them is killed.
    const options = ['--no-fork', `--${this.#mode}`, '--conflict-exit-code', String(REFUSED), ...limit]
    const flock = ['flock', ...options, this.#file, 'sh', '-c', HOLD]
    const talker = new Talker(this.#t, 'sh', ['-c', 'echo waiting; exec "$@"', 'sh', ...flock])
    this.#process = talker
    assert.equal(await talker.line(), 'waiting')
    const outcome = this.#outcome(talker)
    outcome.catch(() => {})
    return { outcome }
  }

  async #outcome(talker) {
    try {
      return await talker.line()
    } catch (error) {
      const { code } = await eventually(talker.exited, 'an answer of flock, or its end')
      if (code !== REFUSED) throw error
      return 'ERR_LOCK_TIMEOUT'
    }
  }

  async try() {
    const { outcome } = await this.acquire({ timeout: 0 })
    return (await outcome) === 'acquired'
  }

  async release() {
    this.#process.end()
    await eventually(this.#process.exited, 'the end of flock')
  }

  kill() {
    return this.#process.kill()
  }
}

const available = (t) => needs(t, 'flock')

testNeighbour('flock(1)', { available, start: (t, file) => new Flock(t, file) })

test('a shared lock of flock(1) lets ours in when it is shared, and keeps it out when it is exclusive', async (t) => {
  if (!available(t)) return
  const file = temporaryPath(t)
  const neighbour = new Flock(t, file, 'shared')
  const shared = ownLock(t, file, { mode: 'shared' })
  const exclusive = ownLock(t, file)

  await acquires(neighbour)
  await refused(exclusive)
  assert.equal(await shared.tryAcquire(), true)
  shared.release()

  const waiting = startWaiting(t, exclusive)
  assert.ok(await staysPending(waiting, SHORT))
  await neighbour.release()
  await eventually(waiting, 'getting in after the release')
})

test('a shared lock of ours lets flock(1) in when it is shared, and keeps it out when it is exclusive', async (t) => {
  if (!available(t)) return
  const file = temporaryPath(t)
  const lock = ownLock(t, file, { mode: 'shared' })
  assert.equal(await lock.tryAcquire(), true)
  const shared = new Flock(t, file, 'shared')
  const exclusive = new Flock(t, file)

  await neighbourRefused(exclusive)
  await acquires(shared)
  await shared.release()

  const { outcome } = await exclusive.acquire()
  assert.ok(await staysPending(outcome, SHORT))
  lock.release()
  assert.equal(await outcome, 'acquired')
})

test('of a shared lock that ours and flock(1) hold together, each keeps its part when the other releases', async (t) => {
  if (!available(t)) return
  const file = temporaryPath(t)
  const lock = ownLock(t, file, { mode: 'shared' })
  const neighbour = new Flock(t, file, 'shared')
  const exclusive = new Flock(t, file)

  await acquires(neighbour)
  assert.equal(await lock.tryAcquire(), true)
  await neighbour.release()
  await neighbourRefused(exclusive)

  await acquires(neighbour)
  lock.release()
  await refused(ownLock(t, file))
  await neighbourRefused(exclusive)
  await neighbour.release()
  assert.equal(await exclusive.try(), true)
})

test('an exclusive lock of either keeps out the shared lock of the other', async (t) => {
  if (!available(t)) return
  const file = temporaryPath(t)
  const lock = ownLock(t, file)
  const sharedLock = ownLock(t, file, { mode: 'shared' })
  const neighbour = new Flock(t, file)

  await acquires(neighbour)
  await refused(sharedLock)
  await neighbour.release()

  assert.equal(await lock.tryAcquire(), true)
  const sharedNeighbour = new Flock(t, file, 'shared')
  await neighbourRefused(sharedNeighbour)
  lock.release()
  assert.equal(await sharedNeighbour.try(), true)
})
