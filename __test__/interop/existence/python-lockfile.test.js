'use strict'

// Python's lockfile, method by method, beside what this package has for it: the same states, the same outcomes.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { describe, test } = require('node:test')

const { lockFile } = require('../../..')
const { eventually } = require('../../support/waiting.js')
const { ownLock } = require('../neighbour.js')
const { newPath, PEERS, talkerOf } = require('./peers.js')

/** A wait that is bound to end in a refusal: in seconds, as Python has it. */
const SHORT = 0.1

const CLASSES = ['LinkLockFile', 'MkdirLockFile', 'SymlinkLockFile', 'PIDLockFile']

/** acquire() of Python's, by its timeout in seconds. */
async function pythonAcquires(python, timeout) {
  const options = timeout === null ? {} : { timeout: timeout * 1000 }
  assert.equal(await python.ask(`acquire ${JSON.stringify(options)}`), 'waiting')
  return python.line()
}

/** The same of ours, by what docs/migrating.md says of its timeouts. */
async function oursAcquires(lock, timeout) {
  try {
    await lock.acquire({ timeout: timeout === null ? Infinity : Math.max(timeout, 0) * 1000 })
    return 'acquired'
  } catch (error) {
    return error.code
  }
}

for (const name of CLASSES) {
  const { protocol, options } = PEERS[name]

  /** A lock of ours, another of ours, and a process with one of Python's, all of one path. */
  const scene = (t) => {
    const file = newPath(t, protocol)
    const [lock, other] = [0, 1].map(() => ownLock(t, file, { protocol }))
    return { file, lock, other, python: talkerOf(t, name, file) }
  }

  describe(`${name} and '${protocol}'`, { concurrency: 4 }, () => {
    for (const timeout of [null, 0, -1, SHORT]) {
      test(`acquire(timeout=${timeout}) of a free lock gets it`, options, async (t) => {
        const { lock, python } = scene(t)
        assert.equal(await pythonAcquires(python, timeout), 'acquired')
        assert.equal(await python.ask('release'), 'released')
        assert.equal(await oursAcquires(lock, timeout), 'acquired')
      })
    }

    for (const timeout of [0, -1, SHORT]) {
      test(
        `acquire(timeout=${timeout}) of a lock that is held is refused, when the time is over`,
        options,
        async (t) => {
          const { lock, other, python } = scene(t)
          const start = performance.now()
          assert.equal(await pythonAcquires(python, null), 'acquired')
          assert.equal(await oursAcquires(lock, timeout), 'ERR_LOCK_TIMEOUT')
          assert.ok(performance.now() - start >= timeout * 1000 - 1)
          assert.equal(await python.ask('release'), 'released')
          await other.acquire()
          assert.equal(await pythonAcquires(python, timeout), 'ERR_LOCK_TIMEOUT')
        },
      )
    }

    test('a timeout of the object is that of each acquire', options, async (t) => {
      const { file, python } = scene(t)
      assert.equal(await pythonAcquires(python, null), 'acquired')
      const lock = ownLock(t, file, { protocol, timeout: SHORT * 1000 })
      await assert.rejects(lock.acquire(), { code: 'ERR_LOCK_TIMEOUT', timeout: SHORT * 1000 })
      await assert.rejects(lock.acquire({ timeout: 0 }), { code: 'ERR_LOCK_TIMEOUT', timeout: 0 })
    })

    test('is_locked() and i_am_locking() are isLocked() and held', options, async (t) => {
      const { lock, other, python } = scene(t)
      const states = async () => ({
        python: [await python.ask('is_locked'), await python.ask('i_am_locking')],
        lock: [await lock.isLocked(), lock.held],
        other: [await other.isLocked(), other.held],
      })
      const free = { python: ['False', 'False'], lock: [false, false], other: [false, false] }
      assert.deepEqual(await states(), free)
      assert.equal(await pythonAcquires(python, null), 'acquired')
      assert.deepEqual(await states(), { python: ['True', 'True'], lock: [true, false], other: [true, false] })
      assert.equal(await python.ask('release'), 'released')
      assert.deepEqual(await states(), free)
      await lock.acquire()
      assert.deepEqual(await states(), { python: ['True', 'False'], lock: [true, true], other: [true, false] })
      lock.release()
      assert.deepEqual(await states(), free)
    })

    test('release() of a lock that nobody holds is NotLocked, and ERR_LOCK_NOT_HELD', options, async (t) => {
      const { lock, python } = scene(t)
      assert.equal(await python.ask('release'), 'NotLocked')
      assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
      await lock.acquire()
      lock.release()
      assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
      assert.equal(await python.ask('release'), 'NotLocked')
    })

    test(
      'release() of the lock of another is NotMyLock, and ERR_LOCK_NOT_HELD, and it stays held',
      options,
      async (t) => {
        const { lock, other, python } = scene(t)
        await other.acquire()
        assert.equal(await python.ask('release'), 'NotMyLock')
        assert.equal(await oursAcquires(lock, 0), 'ERR_LOCK_TIMEOUT')
        assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
        assert.equal(await lock.isLocked(), true)
        other.release()
        assert.equal(await pythonAcquires(python, null), 'acquired')
        assert.equal(await oursAcquires(lock, 0), 'ERR_LOCK_TIMEOUT')
        assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
        assert.equal(await python.ask('i_am_locking'), 'True')
      },
    )

    test('break_lock() and breakLock() free the lock of the other', options, async (t) => {
      const { lock, other, python } = scene(t)
      assert.equal(await lock.breakLock(), false)
      assert.equal(await python.ask('break_lock'), 'None')

      assert.equal(await pythonAcquires(python, null), 'acquired')
      assert.equal(await lock.breakLock(), true)
      assert.equal(await python.ask('is_locked'), 'False')
      assert.equal(await oursAcquires(lock, 0), 'acquired')

      const lost = new Promise((resolve) => lock.lost.addEventListener('abort', resolve))
      assert.equal(await python.ask('break_lock'), 'None')
      await eventually(lost, 'the news of the loss')
      assert.equal(lock.held, false)
      assert.equal(lock.lost.reason.code, 'ERR_LOCK_LOST')
      assert.equal(await oursAcquires(other, 0), 'acquired')
    })

    test('whoever has lost the lock to another leaves it alone: ERR_LOCK_LOST', options, async (t) => {
      const { lock, other, python } = scene(t)
      await lock.acquire()
      assert.equal(await python.ask('break_lock'), 'None')
      assert.equal(await pythonAcquires(python, null), 'acquired')
      assert.throws(() => lock.release(), { code: 'ERR_LOCK_LOST' })
      assert.equal(await python.ask('i_am_locking'), 'True')
      assert.equal(await oursAcquires(other, 0), 'ERR_LOCK_TIMEOUT')
      assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
      assert.equal(await python.ask('release'), 'released')
    })

    test(
      'the context manager is run(): the lock is held in it, and free afterwards, whatever happens',
      options,
      async (t) => {
        const { lock, python } = scene(t)
        await lock.run(async () => assert.equal(await python.ask('is_locked'), 'True'))
        assert.equal(await python.ask('is_locked'), 'False')
        await assert.rejects(
          lock.run(() => assert.fail('on purpose')),
          /on purpose/,
        )
        assert.equal(await python.ask('try'), 'true')
      },
    )

    test('run() of a lock that is lost rejects with that, after its task', options, async (t) => {
      const { lock, python } = scene(t)
      let over = false
      const run = lock.run(async (held) => {
        assert.equal(await python.ask('break_lock'), 'None')
        await new Promise((resolve) => held.lost.addEventListener('abort', resolve))
        over = true
      })
      await assert.rejects(eventually(run, 'the end of run()'), { code: 'ERR_LOCK_LOST' })
      assert.equal(over, true)
    })
  })
}

test('of one name, a link, a folder and a symbolic link exclude each other', PEERS.LinkLockFile.options, async (t) => {
  const file = newPath(t, 'proper-lockfile')
  const protocols = ['link', 'mkdir', 'symlink', 'proper-lockfile']
  for (const protocol of protocols) {
    const holder = lockFile(file, { protocol }).acquireSync()
    for (const other of protocols) assert.equal(lockFile(file, { protocol: other }).tryAcquireSync(), false, other)
    for (const name of ['LinkLockFile', 'MkdirLockFile', 'SymlinkLockFile']) {
      const python = talkerOf(t, name, file)
      assert.equal(await python.ask('try'), 'false', `${name} beside ${protocol}`)
      const seen = name !== 'SymlinkLockFile' || protocol === 'symlink'
      // A dangling symbolic link does not exist for those that follow it.
      const expected = protocol === 'symlink' ? name === 'SymlinkLockFile' : seen
      assert.equal(await python.ask('is_locked'), expected ? 'True' : 'False', `${name} beside ${protocol}`)
    }
    holder.release()
    assert.equal(fs.existsSync(`${file}.lock`), false)
  }
})
