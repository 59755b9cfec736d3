'use strict'

// The file is the lock's name, however its path is spelled.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { test } = require('node:test')

const { lockFile } = require('..')
const { agent, isFree, temporaryFolder } = require('./support.js')

/** A lock file in a folder, and every way to name it. */
function spellings(t) {
  const folder = temporaryFolder(t)
  fs.mkdirSync(path.join(folder, 'real'))
  const file = path.join(folder, 'real', 'test.lock')
  fs.writeFileSync(file, '')
  fs.symlinkSync(file, path.join(folder, 'symbolic'))
  fs.symlinkSync('real', path.join(folder, 'folder'))
  fs.linkSync(file, path.join(folder, 'hard'))
  return {
    file,
    others: {
      'the same path': file,
      'a path through the folder and back': `${folder}/real/../real/./test.lock`,
      'a path with two slashes': file.replace('/test.lock', '//test.lock'),
      'a relative path': path.relative(process.cwd(), file),
      'a symbolic link': path.join(folder, 'symbolic'),
      'a path through a linked folder': path.join(folder, 'folder', 'test.lock'),
      'a hard link': path.join(folder, 'hard'),
      'a file: URL': pathToFileURL(file),
      'a Buffer': Buffer.from(file),
    },
  }
}

test('one file is one lock by any spelling of its path within a process', async (t) => {
  const { file, others } = spellings(t)
  for (const [name, spelling] of Object.entries(others)) {
    const lock = await lockFile(file).acquire()
    const other = lockFile(spelling)
    assert.equal(await other.tryAcquire(), false, name)
    assert.equal(other.tryAcquireSync(), false, name)
    assert.equal(await other.isLocked(), true, name)
    // A handle that has never asked may release it, so the spelling is known to name it.
    lockFile(spelling).release()
    assert.equal(lock.held, false, name)
    assert.equal(await isFree(file), true, name)
  }
})

test('one file is one lock by any spelling of its path across processes', async (t) => {
  const { file, others } = spellings(t)
  const holder = agent(t, file)
  for (const [name, spelling] of Object.entries(others)) {
    assert.equal(await holder.ask('try'), 'true')
    const other = lockFile(spelling)
    assert.equal(await other.tryAcquire(), false, name)
    assert.equal(await holder.ask('release'), 'released')
    assert.equal(await other.tryAcquire(), true, name)
    assert.equal(await holder.ask('try'), 'false', name)
    other.release()
  }
})

test('waiters by different spellings stand in one line', async (t) => {
  const { file, others } = spellings(t)
  const holder = await lockFile(file).acquire()
  const order = []
  const waits = Object.entries(others).map(([name, spelling]) =>
    lockFile(spelling).run(() => {
      order.push(name)
    }),
  )
  // Jobs are done in their order: when this one is, all waiters are in line.
  assert.equal(await lockFile(path.join(path.dirname(file), 'another')).isLocked(), false)
  holder.release()
  await Promise.all(waits)
  assert.deepEqual(order, Object.keys(others))
})

test('different files are different locks', async (t) => {
  const folder = temporaryFolder(t)
  const first = await lockFile(path.join(folder, 'first')).acquire()
  const second = await lockFile(path.join(folder, 'second')).acquire({ timeout: 0 })
  assert.ok(first.held && second.held)
  first.release()
  second.release()
})
