'use strict'

// Locks on the file systems of Linux, as far as this machine can mount them: see docs/file-systems.md.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('..')
const { behavesAsALock, flock, pidsOf } = require('./fixtures/file-systems/behaviour.js')
const { mounting } = require('./fixtures/file-systems/mounts.js')
const { isInside } = require('./fixtures/file-systems/namespace.js')
const { Talker, agent, errorOf, eventually, isFree, needs, staysPending } = require('./support.js')

const ROOT = path.dirname(__dirname)

/** Says, in a process of its own, who holds the lock of a file. */
const ASK = `
  const lock = require(${JSON.stringify(ROOT)}).lockFile(process.argv[1])
  const tell = async () => {
    const { message } = await lock.acquire({ timeout: 0 }).catch((error) => error)
    console.log(JSON.stringify({ isLocked: await lock.isLocked(), holders: await lock.holders(), message }))
  }
  tell()
`

/** The answer of such a process, in other namespaces. */
async function askedWithin(t, flags, file) {
  return JSON.parse(await new Talker(t, 'unshare', [...flags, process.execPath, '-e', ASK, file]).line())
}

function plainFileSystems() {
  test(
    'tmpfs',
    mounting(async (t, at) => behavesAsALock(t, await at.tmpfs(), { atOnce: true })),
  )
  test(
    'ext4',
    mounting(async (t, at) => behavesAsALock(t, (await at.disk('ext4', 16)).folder, { atOnce: true })),
  )
  test(
    'XFS',
    mounting(async (t, at) => behavesAsALock(t, (await at.disk('xfs', 320)).folder, { atOnce: true })),
  )
  test(
    'btrfs',
    mounting(async (t, at) => behavesAsALock(t, (await at.disk('btrfs', 128)).folder, { atOnce: true })),
  )
}

function btrfs() {
  /** A btrfs with two subvolumes, `a` and `b`. */
  async function subvolumes(at) {
    const { image, folder } = await at.disk('btrfs', 128)
    const [a, b] = ['a', 'b'].map((name) => path.join(folder, name))
    for (const subvolume of [a, b]) await at.prepare('btrfs', ['subvolume', 'create', subvolume])
    return { a, b, image }
  }

  test(
    'a subvolume of btrfs',
    mounting(async (t, at) => behavesAsALock(t, (await subvolumes(at)).a, { atOnce: true })),
  )

  test(
    'a subvolume of btrfs that is mounted by itself has the locks that it has by its path',
    mounting(async (t, at) => {
      const { a, image } = await subvolumes(at)
      const mounted = await at.mount('subvolume', ['-o', 'loop,subvol=a', image])
      const other = agent(t, path.join(a, 'test.lock'))
      assert.equal(await other.ask('try'), 'true')
      const lock = lockFile(path.join(mounted, 'test.lock'))
      assert.equal(await lock.tryAcquire(), false)
      assert.deepEqual(pidsOf(await lock.holders()), [other.pid])
    }),
  )

  test(
    'a free lock in one subvolume of btrfs has no holder when a file of the same number is locked in another',
    mounting(async (t, at) => {
      const { a, b } = await subvolumes(at)
      const [locked, free] = [a, b].map((subvolume) => path.join(subvolume, 'test.lock'))
      for (const file of [locked, free]) fs.writeFileSync(file, '')
      assert.equal(fs.statSync(locked).ino, fs.statSync(free).ino)
      const other = agent(t, locked)
      assert.equal(await other.ask('try'), 'true')
      const lock = lockFile(free)
      assert.equal(await lock.isLocked(), false)
      assert.deepEqual(await lock.holders(), [])
      assert.deepEqual(pidsOf(await lockFile(locked).holders()), [other.pid])
    }),
  )
}

/** A file system with two layers: `full` up to the last byte and the last file of the one that can be written. */
async function overlayOf(at, { full }) {
  const [lower, room] = [
    at.make('lower'),
    await at.mount('room', ['-t', 'tmpfs', '-o', 'size=1m,nr_inodes=64', 'none']),
  ]
  fs.writeFileSync(path.join(lower, 'test.lock'), 'precious')
  const upper = path.join(room, 'upper')
  const folder = await at.overlay('overlay', lower, upper)
  if (full) {
    fs.writeFileSync(path.join(room, 'filler'), Buffer.alloc(4096))
    fillWith((n) => fs.appendFileSync(path.join(room, 'filler'), Buffer.alloc(4096, n)))
    fillWith((n) => fs.writeFileSync(path.join(room, `filler-${n}`), ''))
  }
  return { file: path.join(folder, 'test.lock'), upper }
}

/** Does it until there is no room for it any more. */
function fillWith(step) {
  for (let n = 0; ; n++) {
    try {
      step(n)
    } catch (error) {
      assert.equal(error.code, 'ENOSPC')
      return
    }
  }
}

const XINO = ['xino=on', 'xino=off']

/** Folders for two layers, each on a file system of its own. */
const layersOf = async (at) =>
  [await at.tmpfs('lower'), await at.tmpfs('upper')].map((folder) => path.join(folder, 'layer'))

function overlayfs() {
  test(
    'overlayfs with its layers on one file system',
    mounting(async (t, at) => {
      const layers = await at.tmpfs()
      return behavesAsALock(t, await at.overlay('overlay', path.join(layers, 'lower'), path.join(layers, 'upper')), {
        atOnce: true,
      })
    }),
  )

  for (const full of [false, true]) {
    test(
      `a lock on overlayfs, or a question, copies nothing to the upper layer${full ? ', which may be full' : ''}`,
      mounting(async (t, at) => {
        const { file, upper } = await overlayOf(at, { full })
        const other = agent(t, file)
        const lock = lockFile(file)
        assert.equal(await lock.isLocked(), false)
        for (const mode of ['shared', 'exclusive']) {
          await lock.acquire({ mode })
          assert.equal(await other.ask('try'), 'false')
          lock.release()
        }
        assert.equal(await other.ask('try'), 'true')
        assert.equal(lock.tryAcquireSync(), false)
        assert.deepEqual(pidsOf(await lock.holders()), [other.pid])
        assert.deepEqual(fs.readdirSync(upper), [])
      }),
    )
  }

  for (const xino of XINO) {
    test(
      `overlayfs with its layers on two file systems, ${xino}`,
      mounting(async (t, at) => {
        const [lower, upper] = await layersOf(at)
        return behavesAsALock(t, await at.overlay('overlay', lower, upper, xino), { atOnce: true })
      }),
    )

    test(
      `a lock on overlayfs outlives that its file is copied to the upper layer, ${xino}`,
      mounting(async (t, at) => {
        if (!needs(t, 'flock')) return
        const [lower, upper] = await layersOf(at)
        fs.mkdirSync(lower)
        fs.writeFileSync(path.join(lower, 'test.lock'), 'precious')
        const file = path.join(await at.overlay('overlay', lower, upper, xino), 'test.lock')
        const holder = await flock(t, file)
        assert.ok(!fs.existsSync(path.join(upper, 'test.lock')))
        assert.equal(await isFree(file), false)
        assert.ok(!fs.existsSync(path.join(upper, 'test.lock')))
        // Opened for writing: that copies it.
        fs.closeSync(fs.openSync(file, 'r+'))
        assert.equal(await isFree(file), false)
        assert.equal(fs.readFileSync(path.join(upper, 'test.lock'), 'utf8'), 'precious')
        const lock = lockFile(file)
        const wait = lock.acquire()
        assert.ok(await staysPending(wait))
        assert.deepEqual(pidsOf(await lock.holders()), [holder.pid])
        await holder.kill()
        await eventually(wait, 'the lock')
        assert.equal(await agent(t, file).ask('try'), 'false')
        lock.release()
      }),
    )

    test(
      `a lock on overlayfs is kept and released by who has only read its file before it was copied, ${xino}`,
      mounting(async (t, at) => {
        const [lower, upper] = await layersOf(at)
        fs.mkdirSync(lower)
        fs.writeFileSync(path.join(lower, 'test.lock'), '')
        const overlay = await at.overlay('overlay', lower, upper, xino)
        const reader = agent(t, path.join(await at.bind('readonly', overlay, 'bind,ro'), 'test.lock'))
        assert.equal(await reader.ask('try'), 'true')
        assert.ok(!fs.existsSync(path.join(upper, 'test.lock')))
        const lock = lockFile(path.join(overlay, 'test.lock'))
        const wait = lock.acquire()
        assert.ok(await staysPending(wait))
        fs.closeSync(fs.openSync(lock.path, 'r+'))
        assert.ok(fs.existsSync(path.join(upper, 'test.lock')))
        assert.equal(await reader.ask('release'), 'released')
        await eventually(wait, 'the lock')
        assert.equal(await reader.ask('try'), 'false')
        lock.release()
        assert.equal(await reader.ask('try'), 'true')
      }),
    )
  }
}

function otherViews() {
  test(
    'a bind mount has the locks that the folder has by its own path',
    mounting(async (t, at) => {
      const folder = await at.tmpfs()
      const [file, bound] = [folder, await at.bind('bound', folder)].map((place) => path.join(place, 'test.lock'))
      const other = agent(t, bound)
      assert.equal(await other.ask('try'), 'true')
      for (const lock of [lockFile(file), lockFile(bound)]) {
        assert.equal(await lock.tryAcquire(), false)
        assert.deepEqual(pidsOf(await lock.holders()), [other.pid])
      }
      assert.equal(await other.ask('release'), 'released')
      const order = []
      const runs = [file, bound, file].map((name, n) => lockFile(name).run(() => order.push(n)))
      await eventually(Promise.all(runs), 'all three turns')
      assert.deepEqual(order, [0, 1, 2])
    }),
  )

  test(
    'on a full disk what is there can be locked; a new lock file is ENOSPC, and once there is room it is made',
    mounting(async (_, at) => {
      // The root, and two files.
      const folder = await at.mount('full', ['-t', 'tmpfs', '-o', 'nr_inodes=3', 'none'])
      const [there, filler, missing] = ['there', 'filler', 'missing'].map((name) => path.join(folder, name))
      for (const file of [there, filler]) fs.writeFileSync(file, '')
      const lock = await lockFile(there).acquire()
      assert.equal(await isFree(there), false)
      lock.release()
      const refused = lockFile(missing)
      for (const attempt of [() => refused.acquire(), () => refused.acquireSync(), () => refused.tryAcquire()]) {
        const { code, syscall } = await errorOf(attempt)
        assert.deepEqual({ code, syscall }, { code: 'ENOSPC', syscall: 'open' })
      }
      fs.unlinkSync(filler)
      await refused.acquire()
      assert.equal(await isFree(missing), false)
      refused.release()
    }),
  )

  test(
    'what is mounted read-only can be locked, and a lock file cannot be made there',
    mounting(async (t, at) => {
      const folder = await at.tmpfs()
      const readonly = await at.bind('readonly', folder, 'bind,ro')
      const missing = await errorOf(() => lockFile(path.join(readonly, 'missing.lock')).acquire())
      assert.equal(missing.code, 'EROFS')
      fs.writeFileSync(path.join(folder, 'test.lock'), '')
      const other = agent(t, path.join(folder, 'test.lock'))
      const lock = lockFile(path.join(readonly, 'test.lock'))
      await lock.acquire()
      assert.equal(await other.ask('try'), 'false')
      lock.release()
      assert.equal(await other.ask('try'), 'true')
      assert.deepEqual(pidsOf(await lock.holders()), [other.pid])
    }),
  )

  test(
    'a mount namespace has the locks of the world outside, and their holders',
    mounting(async (t, at) => {
      const file = path.join(await at.tmpfs(), 'test.lock')
      const other = agent(t, file)
      assert.equal(await other.ask('try'), 'true')
      const answer = await askedWithin(t, ['--mount'], file)
      assert.equal(answer.isLocked, true)
      assert.deepEqual(pidsOf(answer.holders), [other.pid])
    }),
  )

  const CONTAINER = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc']

  test(
    'a container with processes of its own has the locks of the world outside, and does not name their holders',
    mounting(async (t, at) => {
      if (spawnSync('unshare', [...CONTAINER, 'true']).status !== 0) at.skip('no process namespace can be made here')
      const file = path.join(await at.tmpfs(), 'test.lock')
      const other = agent(t, file)
      assert.equal(await other.ask('try'), 'true')
      const answer = await askedWithin(t, CONTAINER, file)
      assert.deepEqual(answer, { isLocked: true, holders: [], message: `Couldn't lock ${file}: it is locked` })
    }),
  )

  test(
    'who holds a lock in a container is named outside, by the number that it has there',
    mounting(async (t, at) => {
      if (spawnSync('unshare', [...CONTAINER, 'true']).status !== 0) at.skip('no process namespace can be made here')
      const file = path.join(await at.tmpfs(), 'test.lock')
      const script = path.join(__dirname, 'fixtures/agent.js')
      const other = new Talker(t, 'unshare', [...CONTAINER, process.execPath, script, file])
      assert.equal(await other.ask('try'), 'true')
      const lock = lockFile(file)
      assert.equal(await lock.tryAcquire(), false)
      const children = fs.readFileSync(`/proc/${other.pid}/task/${other.pid}/children`, 'utf8')
      assert.deepEqual(pidsOf(await lock.holders()), [Number(children)])
    }),
  )
}

function fuse() {
  test(
    'FUSE whose program leaves locks to the kernel',
    mounting(async (t, at) => behavesAsALock(t, (await at.fuse('kernel')).folder, { links: false, removes: false })),
  )

  test(
    'FUSE whose program keeps the locks itself',
    mounting(async (t, at) =>
      behavesAsALock(t, (await at.fuse('server')).folder, { links: false, removes: false, known: false }),
    ),
  )

  test(
    'FUSE whose program has no locks is an error, never a lock that locks nothing',
    mounting(async (_, at) => {
      const lock = lockFile(path.join((await at.fuse('unsupported')).folder, 'test.lock'))
      for (const call of [() => lock.acquire(), () => lock.tryAcquire(), async () => lock.acquireSync()]) {
        const error = await errorOf(call)
        assert.equal(error.code, 'ERR_LOCK_UNSUPPORTED')
        assert.equal(error.cause.code, 'ENOSYS')
      }
      assert.equal(lock.held, false)
    }),
  )

  test(
    'a wait that the file system does not let go of is given up all the same, and its lock given back when it comes',
    mounting(async (t, at) => {
      const { folder, server } = await at.fuse('deaf')
      const file = path.join(folder, 'test.lock')
      const other = agent(t, file)
      assert.equal(await other.ask('try'), 'true')
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
    }),
  )

  test(
    'a wait times out although its path does not answer, and nobody can say who is in the way',
    mounting(async (t, at) => {
      const { folder, server } = await at.fuse('kernel')
      const file = path.join(folder, 'test.lock')
      const other = agent(t, file)
      assert.equal(await other.ask('try'), 'true')
      // Again with more time, until the path stops to answer well before the end of the wait.
      for (let timeout = 500, inTime = false; !inTime; timeout *= 2) {
        const end = performance.now() + timeout
        const late = errorOf(() => lockFile(file).acquire({ timeout }))
        await lockFile(file).isLocked()
        process.kill(server.pid, 'SIGSTOP')
        try {
          inTime = performance.now() < end - timeout / 2
          const { code, holders } = await late
          if (inTime) assert.deepEqual({ code, holders }, { code: 'ERR_LOCK_TIMEOUT', holders: undefined })
        } finally {
          process.kill(server.pid, 'SIGCONT')
        }
      }
    }),
  )

  test(
    'a release returns although the file system does not answer, and the lock is free as soon as it does',
    mounting(async (t, at) => {
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
    }),
  )

  test(
    'a wait fails when the file system dies, and what is held there is released without a word',
    mounting(async (t, at) => {
      const { folder, server } = await at.fuse('server')
      const held = await lockFile(path.join(folder, 'held.lock')).acquire()
      const other = agent(t, path.join(folder, 'test.lock'))
      assert.equal(await other.ask('try'), 'true')
      const failed = errorOf(() => lockFile(path.join(folder, 'test.lock')).acquire())
      assert.equal(await server.line(), 'waiting')
      await server.kill()
      const { code, syscall } = await failed
      assert.deepEqual({ code, syscall }, { code: 'ECONNABORTED', syscall: 'flock' })
      held.release()
      assert.equal(held.held, false)
    }),
  )
}

if (isInside(__filename)) {
  // Two at a time: most of it is waiting for processes to start.
  describe('locks on', { concurrency: 2 }, () => {
    plainFileSystems()
    btrfs()
    overlayfs()
    otherViews()
    fuse()
  })
}
