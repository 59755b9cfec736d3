'use strict'

// Locks on overlayfs, as containers have it: see docs/file-systems.md.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')

const { lockFile } = require('../../..')
const { isFree } = require('../../support/locks.js')
const { agent, holderOf } = require('../../support/processes.js')
const { needs } = require('../../support/systems.js')
const { eventually, staysPending } = require('../../support/waiting.js')
const { behavesAsALock, flock, pidsOf } = require('./behaviour.js')
const { mounting } = require('./mounts.js')
const { locksOn } = require('./namespace.js')

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

locksOn(__filename, 'overlayfs', () => {
  mounting('overlayfs with its layers on one file system', async (t, at) => {
    const layers = await at.tmpfs()
    return behavesAsALock(t, await at.overlay('overlay', path.join(layers, 'lower'), path.join(layers, 'upper')), {
      atOnce: true,
    })
  })

  for (const full of [false, true]) {
    mounting(
      `a lock on overlayfs, or a question, copies nothing to the upper layer${full ? ', which may be full' : ''}`,
      async (t, at) => {
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
      },
    )
  }

  for (const xino of XINO) {
    mounting(`overlayfs with its layers on two file systems, ${xino}`, async (t, at) => {
      const [lower, upper] = await layersOf(at)
      return behavesAsALock(t, await at.overlay('overlay', lower, upper, xino), { atOnce: true })
    })

    mounting(`a lock on overlayfs outlives that its file is copied to the upper layer, ${xino}`, async (t, at) => {
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
    })

    mounting(
      `a lock on overlayfs is kept and released by who has only read its file before it was copied, ${xino}`,
      async (t, at) => {
        const [lower, upper] = await layersOf(at)
        fs.mkdirSync(lower)
        fs.writeFileSync(path.join(lower, 'test.lock'), '')
        const overlay = await at.overlay('overlay', lower, upper, xino)
        const reader = await holderOf(t, path.join(await at.bind('readonly', overlay, 'bind,ro'), 'test.lock'))
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
      },
    )
  }
})
