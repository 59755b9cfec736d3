'use strict'

// What is different on Windows: how files are named, opened, deleted and locked.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { pathToFileURL } = require('node:url')

const { lockFile } = require('@locket/native')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { holderOf, waiterOf } = require('../support/processes.js')
const { eventually } = require('../support/waiting.js')

/** `\\?\C:\…`: a path that Windows takes as it is, without its limit of 260 characters. */
const verbatim = (file) => `\\\\?\\${file}`

describe('on Windows', { skip: process.platform !== 'win32' }, () => {
  test('a file is one lock, however its path is spelled', async (t) => {
    const file = path.join(temporaryFolder(t), 'Ünïcode 日本.lock')
    const lock = await lockFile(file).acquire()
    const { dir, base } = path.parse(file)
    const spellings = [
      file.toUpperCase(),
      file[0].toLowerCase() + file.slice(1),
      file.replaceAll('\\', '/'),
      `${dir}\\.\\..\\${path.basename(dir)}\\${base}`,
      verbatim(file),
      Buffer.from(file),
      pathToFileURL(file),
    ]
    for (const spelling of spellings) {
      assert.equal(await lockFile(spelling).tryAcquire(), false, String(spelling))
    }
    lock.release()
    for (const spelling of spellings) {
      const other = await lockFile(spelling).acquire({ timeout: 0 })
      assert.equal(await isFree(file), false, String(spelling))
      other.release()
    }
  })

  test('a path beyond 260 characters', async (t) => {
    const folder = path.join(temporaryFolder(t), 'a'.repeat(100), 'b'.repeat(100), 'c'.repeat(100))
    fs.mkdirSync(verbatim(folder), { recursive: true })
    const file = verbatim(path.join(folder, 'test.lock'))
    const holder = await holderOf(t, file)
    assert.equal(await lockFile(file).tryAcquire(), false)
    assert.equal(await holder.ask('release'), 'released')
    assert.equal(await isFree(file), true)
  })

  test('errors of the system have the codes of Node', async (t) => {
    const folder = temporaryFolder(t)
    const refused = (file, code, errno) =>
      assert.rejects(lockFile(file).acquire({ timeout: 0 }), { code, errno, syscall: 'open', path: file })
    await refused(path.join(folder, 'missing', 'test.lock'), 'ENOENT', -4058)
    await refused(path.join(folder, 'a<b>.lock'), 'ENOENT', -4058)
    await refused(folder, 'EISDIR', -4068)
  })

  test('a file that may only be read can be locked', async (t) => {
    const file = temporaryPath(t)
    fs.writeFileSync(file, 'data')
    fs.chmodSync(file, 0o444)
    const lock = await lockFile(file).acquire()
    assert.equal(await isFree(file), false)
    lock.release()
    fs.chmodSync(file, 0o666)
  })

  test('the bytes of the file stay as they are', async (t) => {
    const file = temporaryPath(t)
    fs.writeFileSync(file, 'data')
    const { mtimeMs } = fs.statSync(file)
    await lockFile(file).run(() => {})
    assert.equal(fs.readFileSync(file, 'utf8'), 'data')
    assert.equal(fs.statSync(file).mtimeMs, mtimeMs)
  })

  test('a lock file that is deleted while it is locked: those who wait get in, one after the other', async (t) => {
    const file = temporaryPath(t)
    const holder = await holderOf(t, file)
    const waiters = [await waiterOf(t, file), await waiterOf(t, file)]
    fs.unlinkSync(file)
    // Some file systems keep the name, and the file, until nobody has it open any more: then there is no new one before.
    assert.equal(await holder.ask('release'), 'released')
    const turns = waiters.map(async ({ waiter, acquired }) => {
      assert.equal(await acquired, 'acquired')
      assert.equal(await isFree(file), false)
      assert.equal(await waiter.ask('release'), 'released')
    })
    await eventually(Promise.all(turns), 'both turns')
    assert.equal(await isFree(file), true)
    assert.equal(fs.existsSync(file), true)
  })

  test('removeOnRelease with several who wait: one after the other, and no file is left', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file, { removeOnRelease: true }).acquire()
    const waiters = [await waiterOf(t, file), await waiterOf(t, file)]
    lock.release()
    const turns = waiters.map(async ({ waiter, acquired }) => {
      assert.equal(await acquired, 'acquired')
      assert.equal(await isFree(file), false)
      assert.equal(await waiter.ask('release'), 'released')
    })
    await eventually(Promise.all(turns), 'both turns')
    await lockFile(file, { removeOnRelease: true }).run(() => assert.equal(fs.existsSync(file), true))
    assert.equal(fs.existsSync(file), false)
  })

  test('a folder with a lock file in it that nobody holds can be deleted', async (t) => {
    const file = temporaryPath(t)
    await lockFile(file).run(() => {})
    fs.rmSync(path.dirname(file), { recursive: true })
    assert.equal(fs.existsSync(path.dirname(file)), false)
  })
})
