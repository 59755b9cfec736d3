'use strict'

// The option removeOnRelease.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { script } = require('../support/processes.js')

test('the file is gone after release, and after run', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file, { removeOnRelease: true })
  await lock.acquire()
  assert.ok(fs.existsSync(file))
  lock.release()
  assert.equal(fs.existsSync(file), false)
  await lock.run(() => {})
  assert.equal(fs.existsSync(file), false)
})

/** Counts up in a file, so many times by each of two handles for a lock file, which is removed at every release. */
const COUNT = `
  const fs = require('node:fs')
  const [file, counter, rounds] = process.argv.slice(1)
  // Overwritten, not made anew: a file system may bring a file that was cut to the disk before it goes on.
  const descriptor = fs.openSync(counter, 'r+')
  const count = async () => {
    const lock = lockFile(file, { removeOnRelease: true })
    for (let round = 0; round < Number(rounds); round++) {
      await lock.acquire()
      const digits = Buffer.alloc(8)
      fs.readSync(descriptor, digits, 0, 8, 0)
      // Somebody else's chance, if there is one.
      if (round % 8 === 0) await new Promise(setImmediate)
      fs.writeSync(descriptor, String(Number(digits) + 1).padStart(8, '0'), 0)
      lock.release()
    }
  }
  // Told by the end of its input that all are ready.
  process.stdin.resume().on('end', () => Promise.all([count(), count()]).then(() => console.log('done')))
  console.log('ready')`

test('8 processes that delete it 500 times each lose no update and leave no file', async (t) => {
  const PROCESSES = 8
  const ROUNDS = 250
  // In memory, where there is such a place: it is about the lock, and a disk may take milliseconds to make a file.
  const file = path.join(temporaryFolder(t, fs.existsSync('/dev/shm') ? '/dev/shm' : undefined), 'test.lock')
  const counter = `${file}.counter`
  fs.writeFileSync(counter, '00000000')
  const processes = Array.from({ length: PROCESSES }, () => script(t, COUNT, [file, counter, String(ROUNDS)]))
  for (const process of processes) assert.equal(await process.line(), 'ready')
  for (const process of processes) process.end()
  for (const process of processes) assert.equal(await process.line(), 'done')
  // Two users each.
  assert.equal(Number(fs.readFileSync(counter)), PROCESSES * 2 * ROUNDS)
  assert.deepEqual(fs.readdirSync(path.dirname(file)), [path.basename(counter)])
})

test('the file of a shared lock stays, and so does a file that is not the locked one', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file, { removeOnRelease: true })
  await lock.acquire({ mode: 'shared' })
  lock.release()
  assert.ok(fs.existsSync(file))
  await lock.acquire()
  fs.rmSync(file)
  fs.writeFileSync(file, "somebody else's")
  lock.release()
  assert.equal(fs.readFileSync(file, 'utf8'), "somebody else's")
})

test('a symbolic link stays, and so does the file that it leads to: they are one lock ever after', async (t) => {
  const folder = temporaryFolder(t)
  const target = path.join(folder, 'target')
  const link = path.join(folder, 'link')
  fs.writeFileSync(target, '')
  fs.symlinkSync(target, link)
  const lock = lockFile(link, { removeOnRelease: true })
  await lock.acquire()
  lock.release()
  assert.deepEqual(fs.readdirSync(folder), ['link', 'target'])
  assert.ok(fs.lstatSync(link).isSymbolicLink())
  await lock.acquire()
  assert.equal(await isFree(target), false)
  lock.release()
})

test('the file is gone by a path that leads through a symbolic link to its folder, too', async (t) => {
  const folder = temporaryFolder(t)
  const real = path.join(folder, 'real')
  const link = path.join(folder, 'link')
  fs.mkdirSync(real)
  fs.symlinkSync(real, link, 'junction')
  await lockFile(path.join(link, 'test.lock'), { removeOnRelease: true }).run(() => {})
  assert.deepEqual(fs.readdirSync(real), [])
})

test('of a file with several hard links the name goes by which it was locked', async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  fs.linkSync(file, `${file}.other`)
  const lock = lockFile(file, { removeOnRelease: true })
  await lock.acquire()
  assert.equal(await isFree(`${file}.other`), false)
  lock.release()
  assert.deepEqual(fs.readdirSync(path.dirname(file)), [`${path.basename(file)}.other`])
})

test('a timeout that comes while the file is replaced says that the lock is held, not that the path does not answer', async (t) => {
  const file = temporaryPath(t)
  const messages = []
  let acquired = 0
  async function use() {
    while (messages.length < 400) {
      try {
        const lock = await lockFile(file, { removeOnRelease: true }).acquire(1 + (acquired % 10))
        acquired += 1
        // Some stay for a while, so that waits end.
        if (acquired % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
        lock.release()
      } catch (error) {
        messages.push(error.message)
      }
    }
  }
  await Promise.all(Array.from({ length: 20 }, use))
  assert.deepEqual(
    messages.filter((message) => message.includes('answer')),
    [],
  )
})
