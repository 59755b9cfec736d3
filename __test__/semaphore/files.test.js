'use strict'

// The files of a semaphore, and folders in which there can be none.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { semaphore } = require('../..')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { freePermits, takeAll } = require('../support/permits.js')
const { script } = require('../support/processes.js')
const { onUnix } = require('../support/systems.js')
const { errorOf, eventually } = require('../support/waiting.js')

test('making a semaphore touches nothing; a permit makes the file and a slot beside it, and they stay', async (t) => {
  const file = temporaryPath(t)
  const names = () => fs.readdirSync(path.dirname(file)).sort()
  const it = semaphore(file, 3)
  await it.holders()
  assert.deepEqual(names(), [])
  assert.equal(await freePermits(t, file, 3), 3)
  assert.deepEqual(names(), ['test.lock', 'test.lock.1', 'test.lock.2', 'test.lock.3'])
})

test('fileMode is that of all files that are made, less the umask', onUnix, async (t) => {
  const file = temporaryPath(t)
  await semaphore(file, 2, { fileMode: 0o640 }).run(() => {})
  for (const name of [file, `${file}.1`]) assert.equal(fs.statSync(name).mode & 0o777, 0o640 & ~process.umask(), name)
})

/** The errors of all methods of a semaphore at this path. */
async function errorsAt(file) {
  const it = semaphore(file, 2)
  const calls = [() => it.acquire(), () => it.tryAcquire(), () => it.run(() => assert.fail('called'))]
  const errors = []
  for (const call of calls) errors.push(await errorOf(call))
  return errors
}

test('a missing folder, a file for a folder, and a folder for the file are the errors that a lock has', async (t) => {
  const folder = temporaryFolder(t)
  fs.writeFileSync(path.join(folder, 'file'), '')
  fs.mkdirSync(path.join(folder, 'folder'))
  const expected = { 'missing/slots': 'ENOENT', 'file/slots': 'ENOTDIR', folder: 'EISDIR' }
  for (const [name, code] of Object.entries(expected)) {
    const file = path.join(folder, name)
    for (const error of await errorsAt(file)) {
      assert.deepEqual([error.constructor, error.code, error.path], [Error, code, file])
      assert.ok(error.errno < 0 && error.message.startsWith(`${code}: `), error.message)
    }
  }
  assert.deepEqual(fs.readdirSync(folder).sort(), ['file', 'folder'])
})

test('a folder in the place of a slot is an error, and leaves nothing held', async (t) => {
  const file = temporaryPath(t)
  fs.mkdirSync(`${file}.1`)
  for (const error of await errorsAt(file)) assert.deepEqual([error.code, error.path], ['EISDIR', `${file}.1`])
  fs.rmdirSync(`${file}.1`)
  assert.equal(await freePermits(t, file, 2), 2)
})

test(
  'a folder that this user may not write is EACCES, and one whose files are all there serves him',
  onUnix,
  async (t) => {
    const folder = temporaryFolder(t)
    fs.chmodSync(folder, 0o755)
    const [closed, open] = ['closed', 'open'].map((name) => path.join(folder, name))
    for (const name of [closed, open]) fs.mkdirSync(name)
    const there = path.join(open, 'slots')
    await takeAll(t, there, 2)
    const unused = path.join(open, 'unused')
    await semaphore(unused, 2).run(() => {})
    fs.chmodSync(unused, 0o444)
    for (const name of [closed, open]) fs.chmodSync(name, 0o555)
    // To root nothing is forbidden, so the child becomes somebody else.
    const source = `
    const { semaphore } = require(${JSON.stringify(path.resolve(__dirname, '../..'))})
    if (process.getuid() === 0) {
      process.setgroups([])
      process.setgid(65534)
      process.setuid(65534)
    }
    const tell = async (file, permits) => {
      try {
        await semaphore(file, permits).acquire(0)
      } catch (error) {
        console.log(error.code, error.syscall)
      }
    }
    const [closed, there, unused] = process.argv.slice(1)
    tell(closed, 2).then(() => tell(there, 2)).then(() => tell(unused, 3))`
    const child = script(t, source, [path.join(closed, 'slots'), there, unused])
    assert.equal(await child.line(), 'EACCES open')
    assert.equal(await child.line(), 'ERR_LOCK_TIMEOUT undefined')
    assert.equal(await child.line(), 'EACCES open', 'the number of permits cannot be written')
  },
)

test('files that are deleted while permits are held are made anew, and those permits are released without an error', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 2)
  const held = await it.acquire()
  for (const name of fs.readdirSync(path.dirname(file))) fs.unlinkSync(path.join(path.dirname(file), name))
  const others = await takeAll(t, file, 2)
  assert.equal(others.length, 2)
  held.release()
  for (const permit of others) permit.release()
  assert.equal(await freePermits(t, file, 2), 2)
})

test('the file is deleted while others wait: they get the permits of the file that is there', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 1)
  const held = await it.acquire()
  const waits = [it.acquire(), it.acquire()]
  fs.unlinkSync(file)
  held.release()
  for (const wait of waits) (await eventually(wait, 'the permit')).release()
  assert.equal(await freePermits(t, file, 1), 1)
})

test('a symbolic link to the file is the same semaphore', onUnix, async (t) => {
  const file = temporaryPath(t)
  const link = path.join(path.dirname(file), 'link')
  const permit = await semaphore(file, 2).acquire()
  fs.symlinkSync(file, link)
  const other = await semaphore(link, 2).acquire()
  assert.equal(await freePermits(t, file, 2), 0)
  assert.equal(await freePermits(t, link, 2), 0)
  permit.release()
  other.release()
})
