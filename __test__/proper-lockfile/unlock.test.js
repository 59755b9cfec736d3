'use strict'

// The drop-in: unlock() and check(), as proper-lockfile's own tests demand them.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const lockfile = require('@locket/native/proper-lockfile')
const { temporaryFolder } = require('../support/folders.js')
const { errorOf } = require('../support/waiting.js')
const { isThere, leave, linked, lockable, setAge } = require('./files.js')

test('unlock() releases the lock of a file', async (t) => {
  const { file, entry } = lockable(t)
  await lockfile.lock(file)
  const promise = lockfile.unlock(file)
  assert.ok(promise instanceof Promise)
  assert.equal(await promise, undefined)
  assert.equal(isThere(entry), false)
  const release = await lockfile.lock(file)
  await lockfile.unlock(file)
  assert.equal((await errorOf(release)).code, 'ERELEASED')
})

test('unlock() of what this process has not locked is ENOTACQUIRED, and leaves it alone', async (t) => {
  const { file, entry } = lockable(t)
  const message = 'Lock is not acquired/owned by you'
  leave(entry, 0)
  const error = await errorOf(() => lockfile.unlock(file))
  assert.deepEqual([error.code, error.file, error.message], ['ENOTACQUIRED', file, message])
  assert.ok(isThere(entry))
})

test('unlock() finds the lock by a symbolic link, unless realpath is false', async (t) => {
  const { file, entry, link } = linked(t)
  await lockfile.lock(file)
  assert.equal((await errorOf(() => lockfile.unlock(link, { realpath: false }))).code, 'ENOTACQUIRED')
  assert.ok(isThere(entry))
  await lockfile.unlock(link)
  assert.equal(isThere(entry), false)
})

test('unlock() removes the entry that lockfilePath named, without being told again', async (t) => {
  const folder = temporaryFolder(t)
  const entry = path.join(folder, 'dir.lock')
  await lockfile.lock(folder, { lockfilePath: entry })
  await lockfile.unlock(folder)
  assert.equal(isThere(entry), false)
})

test('check() says whether a file is locked', async (t) => {
  const { file } = lockable(t)
  const promise = lockfile.check(file)
  assert.ok(promise instanceof Promise)
  assert.equal(await promise, false)
  const release = await lockfile.lock(file)
  assert.equal(await lockfile.check(file), true)
  await release()
  assert.equal(await lockfile.check(file), false)
})

test('check() of a file that is missing is ENOENT, unless realpath is false', async (t) => {
  const file = path.join(temporaryFolder(t), 'missing')
  assert.equal((await errorOf(() => lockfile.check(file))).code, 'ENOENT')
  assert.equal(await lockfile.check(file, { realpath: false }), false)
})

test('check() follows symbolic links, unless realpath is false', async (t) => {
  const { file, link } = linked(t)
  const release = await lockfile.lock(link)
  assert.deepEqual([await lockfile.check(link), await lockfile.check(file)], [true, true])
  await release()
  const other = await lockfile.lock(link, { realpath: false })
  const realpath = false
  assert.deepEqual([await lockfile.check(link, { realpath }), await lockfile.check(file, { realpath })], [true, false])
  await other()
})

test('check() knows the lock entry that lockfilePath names', async (t) => {
  const folder = temporaryFolder(t)
  const lockfilePath = path.join(folder, 'dir.lock')
  const release = await lockfile.lock(folder, { lockfilePath })
  assert.deepEqual([await lockfile.check(folder, { lockfilePath }), await lockfile.check(folder)], [true, false])
  assert.equal(lockfile.checkSync(folder, { lockfilePath }), true)
  await release()
})

for (const stale of [100, false, undefined]) {
  test(`check() takes 2000 for the least stale: ${stale}`, async (t) => {
    const { file, entry } = lockable(t)
    leave(entry, 200)
    assert.deepEqual([await lockfile.check(file, { stale }), lockfile.checkSync(file, { stale })], [true, true])
    setAge(entry, 2100)
    assert.deepEqual([await lockfile.check(file, { stale }), lockfile.checkSync(file, { stale })], [false, false])
  })
}
