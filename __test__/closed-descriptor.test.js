'use strict'

// Somebody else in the process closes the descriptor of a lock file: a double close elsewhere does.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('..')
const { agent, errorOf, eventually, temporaryFolder } = require('./support.js')

const LINUX = process.platform === 'linux'
const OPTIONS = { skip: !LINUX && 'needs /proc' }

/** What a descriptor of this process is open for, unless it has been closed. */
function targetOf(number) {
  try {
    return fs.readlinkSync(`/proc/self/fd/${number}`)
  } catch {
    return undefined
  }
}

/** The descriptors of this process for `file`. */
const descriptorsOf = (file) =>
  fs
    .readdirSync('/proc/self/fd')
    .filter((number) => targetOf(number) === file)
    .map(Number)

/** Closes the descriptor of `file`, and opens `other`, which gets its number. */
function replace(file, other) {
  const [descriptor] = descriptorsOf(file)
  fs.closeSync(descriptor)
  const reused = fs.openSync(other, 'w')
  assert.equal(reused, descriptor, 'the system gives the lowest number that is free')
  return reused
}

/** Two paths: of a lock file that exists, and of another file. */
function twoPaths(t) {
  const folder = temporaryFolder(t)
  return ['test.lock', 'other'].map((name) => path.join(folder, name))
}

test('a release says that the lock was lost, and closes and unlocks nothing that is not ours', OPTIONS, async (t) => {
  const [file, foreign] = twoPaths(t)
  for (const acquire of [(lock) => lock.acquire(), (lock) => lock.acquireSync()]) {
    const lock = lockFile(file)
    await acquire(lock)
    const reused = replace(file, foreign)
    // Its descriptor has a lock of its own.
    assert.equal(spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', reused] }).status, 0)
    const error = await errorOf(async () => lock.release())
    assert.equal(error.code, 'ERR_LOCK_LOST')
    assert.equal(lock.held, false)
    fs.writeSync(reused, 'still open')
    const other = spawnSync('flock', ['-n', foreign, 'true'])
    assert.equal(other.status, 1, 'the lock of the foreign file is gone')
    fs.closeSync(reused)
    assert.equal((await errorOf(async () => lock.release())).code, 'ERR_LOCK_NOT_HELD')
    await lock.acquire()
    lock.release()
  }
})

test('who waits in line behind a lock that is lost gets it anew', OPTIONS, async (t) => {
  const [file, foreign] = twoPaths(t)
  const lock = await lockFile(file).acquire()
  const wait = lockFile(file).acquire()
  await new Promise(setImmediate)
  const reused = replace(file, foreign)
  assert.equal((await errorOf(async () => lock.release())).code, 'ERR_LOCK_LOST')
  const next = await eventually(wait, 'the lock')
  assert.equal(descriptorsOf(file).length, 1)
  const other = agent(t, file)
  assert.equal(await other.ask('try'), 'false')
  next.release()
  assert.equal(await other.ask('try'), 'true')
  fs.closeSync(reused)
})

test(
  'a wait in the kernel whose descriptor is closed meanwhile gets the lock of the file itself',
  OPTIONS,
  async (t) => {
    const [file, foreign] = twoPaths(t)
    const holder = agent(t, file)
    assert.equal(await holder.ask('try'), 'true')
    const wait = lockFile(file).acquire()
    while (descriptorsOf(file).length === 0) await new Promise(setImmediate)
    await new Promise((resolve) => setTimeout(resolve, 50))
    const reused = replace(file, foreign)
    assert.equal(await holder.ask('release'), 'released')
    const lock = await eventually(wait, 'the lock')
    assert.equal(await holder.ask('try'), 'false')
    assert.equal(spawnSync('flock', ['-n', foreign, 'true']).status, 0, 'the foreign file is locked')
    lock.release()
    assert.equal(await holder.ask('try'), 'true')
    fs.closeSync(reused)
  },
)

test('a shared lock that is lost is lost for each of those who hold it', OPTIONS, async (t) => {
  const [file, foreign] = twoPaths(t)
  const holds = await Promise.all([1, 2, 3].map(() => lockFile(file).acquire({ mode: 'shared' })))
  const reused = replace(file, foreign)
  for (const hold of holds) assert.equal((await errorOf(async () => hold.release())).code, 'ERR_LOCK_LOST')
  fs.writeSync(reused, 'still open')
  fs.closeSync(reused)
  const lock = await lockFile(file).acquire({ timeout: 0 })
  lock.release()
})
