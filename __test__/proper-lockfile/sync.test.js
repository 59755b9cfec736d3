'use strict'

// The drop-in: the functions without promises, as proper-lockfile's own tests demand them.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const lockfile = require('@locket/native/proper-lockfile')
const { LockTimeoutError } = require('../..')
const { temporaryFolder } = require('../support/folders.js')
const { isThere, linked, lockable } = require('./files.js')

test('lockSync() locks, and returns a function that releases once', (t) => {
  const { file, entry } = lockable(t)
  const release = lockfile.lockSync(file)
  assert.ok(isThere(entry))
  assert.throws(
    () => lockfile.lockSync(file),
    (error) => {
      assert.deepEqual([error.code, error.file, error.message], ['ELOCKED', file, 'Lock file is already being held'])
      return error.cause instanceof LockTimeoutError
    },
  )
  assert.equal(release(), undefined)
  assert.equal(isThere(entry), false)
  assert.throws(release, { code: 'ERELEASED', file, message: 'Lock is already released' })
})

test('lockSync() cannot retry, and says so before it does anything', (t) => {
  const { file, entry } = lockable(t)
  for (const retries of [10, { retries: 10 }]) {
    assert.throws(() => lockfile.lockSync(file, { retries }), {
      code: 'ESYNC',
      file,
      message: 'Cannot use retries with the sync api',
    })
    assert.equal(isThere(entry), false)
  }
  for (const retries of [0, { retries: 0 }, undefined]) lockfile.lockSync(file, { retries })()
})

test('unlockSync() releases what this process has locked, by either function', async (t) => {
  const { file, entry, link } = linked(t)
  for (const lock of [lockfile.lock, lockfile.lockSync]) {
    await lock(file)
    lockfile.unlockSync(link)
    assert.equal(isThere(entry), false)
    const expected = { code: 'ENOTACQUIRED', file, message: 'Lock is not acquired/owned by you' }
    assert.throws(() => lockfile.unlockSync(file), expected)
    assert.throws(() => lockfile.unlockSync(file, { realpath: false }), expected)
  }
})

test('checkSync() says whether a file is locked', (t) => {
  const { file } = lockable(t)
  assert.equal(lockfile.checkSync(file), false)
  const release = lockfile.lockSync(file)
  assert.equal(lockfile.checkSync(file), true)
  release()
  assert.equal(lockfile.checkSync(file), false)
})

test('a file that is missing is ENOENT, unless realpath is false', (t) => {
  const file = path.join(temporaryFolder(t), 'missing')
  for (const name of ['lockSync', 'unlockSync', 'checkSync']) {
    assert.throws(() => lockfile[name](file), { code: 'ENOENT' }, name)
  }
  assert.equal(lockfile.checkSync(file, { realpath: false }), false)
  lockfile.lockSync(file, { realpath: false })()
})
