'use strict'

// One file system at several places, full, read-only, and in containers: see docs/file-systems.md.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { lockFile, LockManager } = require('../../..')
const { ROOT } = require('../../support/folders.js')
const { isFree } = require('../../support/locks.js')
const { AGENT, agent, holderOf, Talker } = require('../../support/processes.js')
const { errorOf, eventually } = require('../../support/waiting.js')
const { pidsOf } = require('./behaviour.js')
const { mounting } = require('./mounts.js')
const { locksOn } = require('./namespace.js')

/** Says, in a process of its own, who holds the lock of a file. */
const ASK = `
  const lock = require(${JSON.stringify(ROOT)}). lockFile(process.argv[1])
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

locksOn(__filename, 'mounts and containers', () => {
  mounting('a bind mount has the locks that the folder has by its own path', async (t, at) => {
    const folder = await at.tmpfs()
    const [file, bound] = [folder, await at.bind('bound', folder)].map((place) => path.join(place, 'test.lock'))
    const other = await holderOf(t, bound)
    for (const lock of [lockFile(file), lockFile(bound)]) {
      assert.equal(await lock.tryAcquire(), false)
      assert.deepEqual(pidsOf(await lock.holders()), [other.pid])
    }
    assert.equal(await other.ask('release'), 'released')
    const order = []
    const runs = [file, bound, file].map((name, n) => lockFile(name).run(() => order.push(n)))
    await eventually(Promise.all(runs), 'all three turns')
    assert.deepEqual(order, [0, 1, 2])
  })

  mounting(
    'on a full disk what is there can be locked; a new lock file is ENOSPC, and once there is room it is made',
    async (_, at) => {
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
    },
  )

  mounting('what is mounted read-only can be locked, and a lock file cannot be made there', async (t, at) => {
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
  })

  mounting('a folder of named locks that is missing cannot be made on what is mounted read-only', async (_, at) => {
    const folder = await at.tmpfs()
    const readonly = await at.bind('readonly', folder, 'bind,ro')
    for (const missing of ['locks', 'deep/below/locks']) {
      const manager = new LockManager(path.join(readonly, missing))
      const { code, path: refused } = await errorOf(() => manager.request('a', () => {}))
      assert.deepEqual([code, refused], ['EROFS', path.join(readonly, missing.split('/')[0])])
    }
    fs.mkdirSync(path.join(folder, 'locks'))
    assert.equal(
      (await errorOf(() => new LockManager(path.join(readonly, 'locks')).request('a', () => {}))).code,
      'EROFS',
    )
  })

  mounting(
    'a long name is listed in its own process, whatever the manager, although the disk is full',
    async (_, at) => {
      const folder = await at.mount('full', ['-t', 'tmpfs', '-o', 'size=64k', 'none'])
      const locks = path.join(folder, 'locks')
      await new LockManager(locks).request('a', () => {})
      try {
        fs.writeFileSync(path.join(folder, 'filler'), Buffer.alloc(1e6))
      } catch (error) {
        assert.equal(error.code, 'ENOSPC')
      }
      const name = 'a long name '.repeat(100)
      const listed = () => new LockManager(locks).query()
      const { held, pending } = await new LockManager(locks).request(name, listed)
      assert.deepEqual([held.map((each) => each.name), pending], [[name], []])
      assert.deepEqual(await listed(), { held: [], pending: [] })
    },
  )

  mounting('a mount namespace has the locks of the world outside, and their holders', async (t, at) => {
    const file = path.join(await at.tmpfs(), 'test.lock')
    const other = await holderOf(t, file)
    const answer = await askedWithin(t, ['--mount'], file)
    assert.equal(answer.isLocked, true)
    assert.deepEqual(pidsOf(answer.holders), [other.pid])
  })

  const CONTAINER = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc']

  mounting(
    'a container with processes of its own has the locks of the world outside, and does not name their holders',
    async (t, at) => {
      if (spawnSync('unshare', [...CONTAINER, 'true']).status !== 0) at.skip('no process namespace can be made here')
      const file = path.join(await at.tmpfs(), 'test.lock')
      await holderOf(t, file)
      const answer = await askedWithin(t, CONTAINER, file)
      assert.deepEqual(answer, { isLocked: true, holders: [], message: `Couldn't lock ${file}: it is locked` })
    },
  )

  mounting('who holds a lock in a container is named outside, by the number that it has there', async (t, at) => {
    if (spawnSync('unshare', [...CONTAINER, 'true']).status !== 0) at.skip('no process namespace can be made here')
    const file = path.join(await at.tmpfs(), 'test.lock')
    const other = new Talker(t, 'unshare', [...CONTAINER, process.execPath, AGENT, file])
    assert.equal(await other.ask('try'), 'true')
    const lock = lockFile(file)
    assert.equal(await lock.tryAcquire(), false)
    const children = fs.readFileSync(`/proc/${other.pid}/task/${other.pid}/children`, 'utf8')
    assert.deepEqual(pidsOf(await lock.holders()), [Number(children)])
  })
})
