'use strict'

// Locks on file systems of this machine: see docs/file-systems.md.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { lockFile } = require('../../..')
const { descriptorsOf } = require('../../support/kernel.js')
const { holderOf } = require('../../support/processes.js')
const { until } = require('../../support/waiting.js')
const { behavesAsALock, pidsOf } = require('./behaviour.js')
const { mounting } = require('./mounts.js')
const { locksOn } = require('./namespace.js')

locksOn(__filename, 'the file systems of disks', () => {
  mounting('tmpfs', async (t, at) => behavesAsALock(t, await at.tmpfs(), { atOnce: true }))
  mounting('ext4', async (t, at) => behavesAsALock(t, (await at.disk('ext4', 16)).folder, { atOnce: true }))
  mounting('XFS', async (t, at) => behavesAsALock(t, (await at.disk('xfs', 320)).folder, { atOnce: true }))
  mounting('btrfs', async (t, at) => behavesAsALock(t, (await at.disk('btrfs', 128)).folder, { atOnce: true }))

  mounting(
    'a file system can be unmounted as soon as its lock files are closed, a moment after they were used',
    async (_, at) => {
      const folder = await at.tmpfs()
      const file = path.join(folder, 'test.lock')
      const isOpen = () => descriptorsOf(file).length > 0
      await until(() => {
        for (let i = 0; i < 40; i++) lockFile(file).acquireSync().release()
        return isOpen()
      }, 'a file that stays open')
      await until(() => !isOpen(), 'the end of the descriptor')
      assert.equal(spawnSync('umount', [folder]).status, 0)
    },
  )

  /** A btrfs with two subvolumes, `a` and `b`. */
  async function subvolumes(at) {
    const { image, folder } = await at.disk('btrfs', 128)
    const [a, b] = ['a', 'b'].map((name) => path.join(folder, name))
    for (const subvolume of [a, b]) await at.prepare('btrfs', ['subvolume', 'create', subvolume])
    return { a, b, image }
  }

  mounting('a subvolume of btrfs', async (t, at) => behavesAsALock(t, (await subvolumes(at)).a, { atOnce: true }))

  mounting('a subvolume of btrfs that is mounted by itself has the locks that it has by its path', async (t, at) => {
    const { a, image } = await subvolumes(at)
    const mounted = await at.mount('subvolume', ['-o', 'loop,subvol=a', image])
    const other = await holderOf(t, path.join(a, 'test.lock'))
    const lock = lockFile(path.join(mounted, 'test.lock'))
    assert.equal(await lock.tryAcquire(), false)
    assert.deepEqual(pidsOf(await lock.holders()), [other.pid])
  })

  mounting(
    'a free lock in one subvolume of btrfs has no holder when a file of the same number is locked in another',
    async (t, at) => {
      const { a, b } = await subvolumes(at)
      const [locked, free] = [a, b].map((subvolume) => path.join(subvolume, 'test.lock'))
      for (const file of [locked, free]) fs.writeFileSync(file, '')
      assert.equal(fs.statSync(locked).ino, fs.statSync(free).ino)
      const other = await holderOf(t, locked)
      const lock = lockFile(free)
      assert.equal(await lock.isLocked(), false)
      assert.deepEqual(await lock.holders(), [])
      assert.deepEqual(pidsOf(await lockFile(locked).holders()), [other.pid])
    },
  )
})
