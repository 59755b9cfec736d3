'use strict'

// A file is deleted or replaced while others are waited for.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const { lockFile, lockFiles } = require('../..')
const { isFree } = require('../support/locks.js')
const { holderOf } = require('../support/processes.js')
const { eventually, staysPending } = require('../support/waiting.js')
const { filesInOrder, heldPaths, isPending, replace } = require('./files.js')

const CHANGES = { deleted: (file) => fs.rmSync(file), replaced: replace }

for (const [how, change] of Object.entries(CHANGES)) {
  test(`a file that is ${how} while it is waited for is found anew, at each position`, async (t) => {
    const files = filesInOrder(t, 4)
    for (const file of files) {
      const holder = await holderOf(t, file)
      const locks = lockFiles(files)
      const wait = locks.acquire()
      await isPending(file)
      change(file)
      assert.ok(await staysPending(wait))
      await holder.kill()
      await eventually(wait, 'the locks')
      // Not that of the old file, which nobody else could ever see.
      for (const each of files) assert.equal(await isFree(each), false)
      locks.release()
      assert.deepEqual(heldPaths(), [])
    }
  })

  test(`a file that is ${how} before its turn comes is found anew`, async (t) => {
    const files = filesInOrder(t, 4)
    for (const index of [1, 2, 3]) {
      const holder = await holderOf(t, files[0])
      const locks = lockFiles(files)
      const wait = locks.acquire()
      await isPending(files[0])
      change(files[index])
      await holder.kill()
      await eventually(wait, 'the locks')
      for (const each of files) assert.equal(await isFree(each), false)
      locks.release()
    }
  })
}

test('a wait for a file that was replaced gives the others back, and goes on within its timeout', async (t) => {
  const files = filesInOrder(t, 2)
  const old = await holderOf(t, files[1])
  const locks = lockFiles(files)
  const wait = locks.acquire()
  const bounded = assert.rejects(lockFiles(files).acquire(500), { code: 'ERR_LOCK_TIMEOUT', timeout: 500 })
  await isPending(files[1])
  assert.deepEqual(heldPaths(), [files[0]])
  replace(files[1])
  const next = await holderOf(t, files[1])
  await old.kill()
  await bounded
  assert.ok(await staysPending(wait))
  await next.kill()
  await eventually(wait, 'the locks')
  assert.equal(await isFree(files[1]), false)
  locks.release()
})

test('a wait does not keep a file while it waits for another one that takes the place of a later one', async (t) => {
  const [low, middle, high] = filesInOrder(t, 3)
  const holder = await holderOf(t, high)
  const locks = lockFiles([middle, high])
  const wait = locks.acquire()
  await isPending(high)
  // Its path names a file now that comes first.
  fs.renameSync(low, high)
  const first = await holderOf(t, high)
  await holder.kill()
  await isPending(high)
  assert.equal(await isFree(middle), true, 'a wait for the lower one that holds the higher one could be a deadlock')
  await first.kill()
  await eventually(wait, 'the locks')
  locks.release()
})

test('a link that names another file from now on is followed', async (t) => {
  const [one, other] = filesInOrder(t, 2)
  const link = `${one}.link`
  fs.symlinkSync(one, link)
  const locks = lockFiles([one, link, other])
  const holder = lockFile(other).acquireSync()
  assert.equal(await locks.tryAcquire(), false)
  await assert.rejects(locks.acquire(1), { code: 'ERR_LOCK_TIMEOUT' })
  fs.rmSync(link)
  fs.writeFileSync(link, '')
  holder.release()
  await locks.acquire()
  assert.equal(await isFree(link), false)
  locks.release()
  // And the other way round, while it is waited for.
  const again = await holderOf(t, one)
  const wait = locks.acquire()
  await isPending(one)
  fs.rmSync(link)
  fs.symlinkSync(other, link)
  await again.kill()
  await eventually(wait, 'the locks')
  assert.equal(heldPaths().length, 2)
  locks.release()
})
