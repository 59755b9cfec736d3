'use strict'

// flock(1) of util-linux.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { test } = require('node:test')

const { temporaryPath } = require('../support/folders.js')
const { Talker } = require('../support/processes.js')
const { needing } = require('../support/systems.js')
const { acquires, getsInAfter, neighbourGetsInAfter, neighbourRefused } = require('./neighbour.js')
const { ownLock, refused, testNeighbour } = require('./neighbour.js')

/** What flock exits with when it is refused: a number that the shell and its failures do not use. */
const REFUSED = 75

const HOLD = 'echo acquired; read line'

/** flock(1) for one file, by the methods of Agent (see neighbour.js). Each acquire is a process of its own. */
class Flock {
  #t
  #file
  #mode
  #more
  #process

  /** `more`: further options of the command. */
  constructor(t, file, mode = 'exclusive', more = []) {
    this.#t = t
    this.#file = file
    this.#mode = mode
    this.#more = more
  }

  async acquire({ timeout } = {}) {
    const limit = timeout === 0 ? ['--nonblock'] : timeout === undefined ? [] : ['--timeout', String(timeout / 1000)]
    // --no-fork: with a child, there would be two processes that have the locked file open, and one of them is killed.
    const options = ['--no-fork', `--${this.#mode}`, '--conflict-exit-code', String(REFUSED), ...limit, ...this.#more]
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
      const { code } = await talker.ended()
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
    await this.#process.ended()
  }

  kill() {
    return this.#process.kill()
  }
}

const options = needing('flock')

testNeighbour('flock(1)', { options, start: (t, file) => new Flock(t, file) })

const knowsFcntl =
  options.skip === false && spawnSync('flock', ['--help'], { encoding: 'utf8' }).stdout.includes('--fcntl')

testNeighbour('flock --fcntl', {
  options: { skip: !knowsFcntl && 'this flock(1) has no --fcntl: util-linux 2.41 has' },
  start: (t, file) => new Flock(t, file, 'exclusive', ['--fcntl']),
  own: { protocol: 'fcntl' },
})

test('a shared lock of either lets the other in when that is shared, too', options, async (t) => {
  const file = temporaryPath(t)
  const [shared, exclusive] = ['shared', 'exclusive'].map((mode) => ownLock(t, file, { mode }))
  const [sharedNeighbour, exclusiveNeighbour] = ['shared', 'exclusive'].map((mode) => new Flock(t, file, mode))

  await acquires(sharedNeighbour)
  await refused(exclusive)
  assert.equal(await shared.tryAcquire(), true)
  shared.release()
  await getsInAfter(t, exclusive, () => sharedNeighbour.release())
  exclusive.release()

  assert.equal(await shared.tryAcquire(), true)
  await neighbourRefused(exclusiveNeighbour)
  await acquires(sharedNeighbour)
  await sharedNeighbour.release()
  await neighbourGetsInAfter(exclusiveNeighbour, () => shared.release())
})

test('of a shared lock that both hold together, each keeps its part when the other releases', options, async (t) => {
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

test('an exclusive lock of either keeps out the shared lock of the other', options, async (t) => {
  const file = temporaryPath(t)
  const lock = ownLock(t, file)
  const neighbour = new Flock(t, file)
  await acquires(neighbour)
  await refused(ownLock(t, file, { mode: 'shared' }))
  await neighbour.release()

  assert.equal(await lock.tryAcquire(), true)
  const sharedNeighbour = new Flock(t, file, 'shared')
  await neighbourRefused(sharedNeighbour)
  lock.release()
  assert.equal(await sharedNeighbour.try(), true)
})
