'use strict'

// Locks on file systems that a program serves (FUSE): see docs/file-systems.md.

const assert = require('node:assert/strict')
const path = require('node:path')

const { lockFile } = require('../../..')
const { agent, holderOf } = require('../../support/processes.js')
const { errorOf, eventually } = require('../../support/waiting.js')
const { behavesAsALock } = require('./behaviour.js')
const { mounting } = require('./mounts.js')
const { locksOn } = require('./namespace.js')

locksOn(
  __filename,
  'FUSE',
  () => {
    mounting('FUSE whose program leaves locks to the kernel', async (t, at) =>
      behavesAsALock(t, (await at.fuse('kernel')).folder, { links: false, removes: false }),
    )

    mounting('FUSE whose program keeps the locks itself', async (t, at) =>
      behavesAsALock(t, (await at.fuse('server')).folder, { links: false, removes: false, known: false }),
    )

    mounting('FUSE whose program has no locks is an error, never a lock that locks nothing', async (_, at) => {
      const lock = lockFile(path.join((await at.fuse('unsupported')).folder, 'test.lock'))
      for (const call of [() => lock.acquire(), () => lock.tryAcquire(), async () => lock.acquireSync()]) {
        const error = await errorOf(call)
        assert.equal(error.code, 'ERR_LOCK_UNSUPPORTED')
        assert.equal(error.cause.code, 'ENOSYS')
      }
      assert.equal(lock.held, false)
    })

    mounting(
      'a wait that the file system does not let go of is given up all the same, and its lock given back when it comes',
      async (t, at) => {
        const { folder, server } = await at.fuse('deaf')
        const file = path.join(folder, 'test.lock')
        const other = await holderOf(t, file)
        const controller = new AbortController()
        const wait = lockFile(file).acquire({ signal: controller.signal })
        assert.equal(await server.line(), 'waiting')
        controller.abort()
        assert.equal((await errorOf(() => wait)).code, 'ABORT_ERR')
        assert.equal(await other.ask('release'), 'released')
        assert.equal(await other.ask('acquire'), 'waiting')
        assert.equal(await other.line(), 'acquired')
        assert.equal(await other.ask('release'), 'released')
        ;(await eventually(lockFile(file).acquire(), 'the lock')).release()
      },
    )

    mounting(
      'a lock file that another machine deletes during a wait is noticed, although the kernel remembers it',
      async (t, at) => {
        const { folder, server } = await at.fuse('cached')
        const file = path.join(folder, 'test.lock')
        const holder = await holderOf(t, file)
        const lock = lockFile(file)
        const wait = lock.acquire()
        assert.equal(await server.line(), 'waiting')
        assert.equal(await server.ask('delete test.lock'), '')
        assert.equal(await holder.ask('release'), 'released')
        await eventually(wait, 'the lock')
        assert.equal(await server.ask('names'), 'test.lock')
        assert.equal(await holder.ask('try'), 'false')
        lock.release()
      },
    )

    mounting(
      'a wait times out although its path does not answer, and names the holder as far as it is known by then',
      async (t, at) => {
        const { folder, server } = await at.fuse('kernel')
        const file = path.join(folder, 'test.lock')
        const holder = await holderOf(t, file)
        // Again with more time, until the path stops to answer well before the end of the wait.
        for (let timeout = 500, inTime = false; !inTime; timeout *= 2) {
          const end = performance.now() + timeout
          const late = errorOf(() => lockFile(file).acquire({ timeout }))
          await lockFile(file).isLocked()
          process.kill(server.pid, 'SIGSTOP')
          try {
            inTime = performance.now() < end - timeout / 2
            const { code, holders } = await late
            assert.equal(code, 'ERR_LOCK_TIMEOUT')
            assert.ok(holders === undefined || holders[0].pid === holder.pid)
          } finally {
            process.kill(server.pid, 'SIGCONT')
          }
        }
      },
    )

    mounting(
      'a release returns although the file system does not answer, and the lock is free as soon as it does',
      async (t, at) => {
        const { folder, server } = await at.fuse('server')
        const file = path.join(folder, 'test.lock')
        const [holder, next] = [agent(t, file), agent(t, file)]
        for (const form of ['try', 'sync']) {
          assert.match(await holder.ask(form), /^(true|acquired)$/)
          process.kill(server.pid, 'SIGSTOP')
          try {
            assert.equal(await holder.ask('release'), 'released')
            assert.equal(await holder.ask('held'), 'false')
          } finally {
            process.kill(server.pid, 'SIGCONT')
          }
          assert.equal(await next.ask('sync'), 'acquired')
          assert.equal(await next.ask('release'), 'released')
        }
      },
    )

    mounting(
      'a wait fails when the file system dies, and what is held there is released without a word',
      async (t, at) => {
        const { folder, server } = await at.fuse('server')
        const held = await lockFile(path.join(folder, 'held.lock')).acquire()
        await holderOf(t, path.join(folder, 'test.lock'))
        const failed = errorOf(() => lockFile(path.join(folder, 'test.lock')).acquire())
        assert.equal(await server.line(), 'waiting')
        await server.kill()
        const { code, syscall } = await failed
        assert.deepEqual({ code, syscall }, { code: 'ECONNABORTED', syscall: 'flock' })
        held.release()
        assert.equal(held.held, false)
      },
    )
  },
  1,
) // A process that starts closes its copies of descriptors, and waits for a server that another test has stopped.
