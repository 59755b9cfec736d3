'use strict'

// What is different on Windows: how files are named, opened, deleted and locked.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { pathToFileURL } = require('node:url')

const { lockFile } = require('@locket/native')
const { eventually, holderOf, isFree, temporaryFolder, temporaryPath, waiterFor } = require('../support.cjs')

/** `\\?\C:\…`: a path that Windows takes as it is, without its limit of 260 characters. */
const verbatim = (file) => `\\\\?\\${file}`

module.exports = {
  async 'a file is one lock, however its path is spelled'() {
    const file = path.join(temporaryFolder(), 'Ünïcode 日本.lock')
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
  },

  async 'a path beyond 260 characters'() {
    const folder = path.join(temporaryFolder(), 'a'.repeat(100), 'b'.repeat(100), 'c'.repeat(100))
    fs.mkdirSync(verbatim(folder), { recursive: true })
    const file = verbatim(path.join(folder, 'test.lock'))
    const holder = await holderOf(file)
    assert.equal(await lockFile(file).tryAcquire(), false)
    assert.equal(await holder.ask('release'), 'released')
    assert.equal(await isFree(file), true)
  },

  async 'errors of the system have the codes of Node'() {
    const folder = temporaryFolder()
    const refused = (file, code, errno) =>
      assert.rejects(lockFile(file).acquire({ timeout: 0 }), { code, errno, syscall: 'open', path: file })
    await refused(path.join(folder, 'missing', 'test.lock'), 'ENOENT', -4058)
    await refused(path.join(folder, 'a<b>.lock'), 'ENOENT', -4058)
    await refused(folder, 'EISDIR', -4068)
  },

  async 'a file that may only be read can be locked'() {
    const file = temporaryPath()
    fs.writeFileSync(file, 'data')
    fs.chmodSync(file, 0o444)
    const lock = await lockFile(file).acquire()
    assert.equal(await isFree(file), false)
    lock.release()
    fs.chmodSync(file, 0o666)
  },

  async 'the bytes of the file stay as they are'() {
    const file = temporaryPath()
    fs.writeFileSync(file, 'data')
    const { mtimeMs } = fs.statSync(file)
    await lockFile(file).run(() => {})
    assert.equal(fs.readFileSync(file, 'utf8'), 'data')
    assert.equal(fs.statSync(file).mtimeMs, mtimeMs)
  },

  async 'a lock file that is deleted while it is locked: those who wait get in, one after the other'() {
    const file = temporaryPath()
    const holder = await holderOf(file)
    const waiters = [await waiterFor(file), await waiterFor(file)]
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
  },

  async 'removeOnRelease with several who wait: one after the other, and no file is left'() {
    const file = temporaryPath()
    const lock = await lockFile(file, { removeOnRelease: true }).acquire()
    const waiters = [await waiterFor(file), await waiterFor(file)]
    lock.release()
    const turns = waiters.map(async ({ waiter, acquired }) => {
      assert.equal(await acquired, 'acquired')
      assert.equal(await isFree(file), false)
      assert.equal(await waiter.ask('release'), 'released')
    })
    await eventually(Promise.all(turns), 'both turns')
    await lockFile(file, { removeOnRelease: true }).run(() => assert.equal(fs.existsSync(file), true))
    assert.equal(fs.existsSync(file), false)
  },

  async 'a folder with a lock file in it that nobody holds can be deleted'() {
    const file = temporaryPath()
    await lockFile(file).run(() => {})
    fs.rmSync(path.dirname(file), { recursive: true })
    assert.equal(fs.existsSync(path.dirname(file)), false)
  },
}
