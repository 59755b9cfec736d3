'use strict'

// Somebody else in the process closes the descriptor of a lock file: a double close elsewhere does.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { test } = require('node:test')

const { lockFile, LockError } = require('../..')
const { temporaryPaths } = require('../support/folders.js')
const { descriptorsOf, waitsInKernel } = require('../support/kernel.js')
const { agent, holderOf } = require('../support/processes.js')
const { onLinux } = require('../support/systems.js')
const { errorOf, eventually, staysPending } = require('../support/waiting.js')

/** Closes the descriptor of `file`, and opens `other`, which gets its number. */
function replace(file, other) {
  const [descriptor] = descriptorsOf(file)
  fs.closeSync(descriptor)
  const opened = []
  // The system gives the lowest number that is free.
  do opened.push(fs.openSync(other, 'w'))
  while (opened.at(-1) < descriptor)
  const reused = opened.pop()
  for (const each of opened) fs.closeSync(each)
  assert.equal(reused, descriptor)
  return reused
}

/** Makes what is held of `file` a lock that was lost. */
function lose(file) {
  for (const descriptor of descriptorsOf(file)) fs.closeSync(descriptor)
}

/** The code of the error of a release. */
const failedRelease = async (lock) => (await errorOf(async () => lock.release())).code

test('a release says that the lock was lost, and closes and unlocks nothing foreign', onLinux, async (t) => {
  const [file, foreign] = temporaryPaths(t, 'test.lock', 'other')
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
    assert.equal(await failedRelease(lock), 'ERR_LOCK_NOT_HELD')
    await lock.acquire()
    lock.release()
  }
})

test('a request behind a lock that is lost gets it anew', onLinux, async (t) => {
  const [file, foreign] = temporaryPaths(t, 'test.lock', 'other')
  const lock = await lockFile(file).acquire()
  const wait = lockFile(file).acquire()
  await new Promise(setImmediate)
  const reused = replace(file, foreign)
  assert.equal(await failedRelease(lock), 'ERR_LOCK_LOST')
  const next = await eventually(wait, 'the lock')
  assert.equal(descriptorsOf(file).length, 1)
  const other = agent(t, file)
  assert.equal(await other.ask('try'), 'false')
  next.release()
  assert.equal(await other.ask('try'), 'true')
  fs.closeSync(reused)
})

test('a wait in the kernel whose descriptor is closed meanwhile gets the lock of the file', onLinux, async (t) => {
  const [file, foreign] = temporaryPaths(t, 'test.lock', 'other')
  const holder = await holderOf(t, file)
  const wait = lockFile(file).acquire()
  await waitsInKernel(process)
  const reused = replace(file, foreign)
  assert.equal(await holder.ask('release'), 'released')
  const lock = await eventually(wait, 'the lock')
  assert.equal(await holder.ask('try'), 'false')
  assert.equal(spawnSync('flock', ['-n', foreign, 'true']).status, 0, 'the foreign file is locked')
  lock.release()
  assert.equal(await holder.ask('try'), 'true')
  fs.closeSync(reused)
})

test('a handle that holds what was lost waits for its own release', onLinux, async (t) => {
  const [file, foreign] = temporaryPaths(t, 'test.lock', 'other')
  const [one, other] = await Promise.all([1, 2].map(() => lockFile(file).acquire({ mode: 'shared' })))
  const reused = replace(file, foreign)
  assert.equal(await failedRelease(other), 'ERR_LOCK_LOST')
  const before = process.cpuUsage()
  const again = one.acquire({ mode: 'shared' })
  assert.ok(await staysPending(again, 200))
  const { user, system } = process.cpuUsage(before)
  assert.ok(user + system < 150_000, `it is not looked for again and again: ${user + system} µs in 200 ms`)
  assert.equal(await failedRelease(one), 'ERR_LOCK_LOST')
  await eventually(again, 'the lock')
  one.release()
  fs.closeSync(reused)
})

test('a shared lock that is lost is lost for each of its holders', onLinux, async (t) => {
  const [file, foreign] = temporaryPaths(t, 'test.lock', 'other')
  const holds = await Promise.all([1, 2, 3].map(() => lockFile(file).acquire({ mode: 'shared' })))
  const reused = replace(file, foreign)
  for (const hold of holds) assert.equal(await failedRelease(hold), 'ERR_LOCK_LOST')
  fs.writeSync(reused, 'still open')
  fs.closeSync(reused)
  const lock = await lockFile(file).acquire({ timeout: 0 })
  lock.release()
})

test('lost fires when a release finds that the lock was lost, with the same error', onLinux, async (t) => {
  const [file] = temporaryPaths(t, 'test.lock')
  const lock = await lockFile(file).acquire()
  const { lost } = lock
  assert.equal(lock.lost, lost)
  assert.equal(lost.aborted, false)
  lose(file)
  const error = await errorOf(async () => lock.release())
  assert.ok(error instanceof LockError)
  assert.deepEqual([error.code, error.path], ['ERR_LOCK_LOST', file])
  assert.equal(lost.aborted, true)
  assert.equal(lost.reason, error)

  // Who asks for the first time afterwards is told, too.
  const other = await lockFile(file).acquire()
  lose(file)
  await failedRelease(other)
  assert.equal(other.lost.reason.code, 'ERR_LOCK_LOST')
})

test('each acquisition has a signal of its own, also one that is read before it', onLinux, async (t) => {
  const [file] = temporaryPaths(t, 'test.lock')
  const lock = lockFile(file)
  const before = lock.lost
  await lock.acquire()
  assert.equal(lock.lost, before)
  lock.release()
  const second = lock.lost
  assert.notEqual(second, before)
  lock.acquireSync()
  assert.equal(lock.lost, second)
  lose(file)
  await failedRelease(lock)
  assert.equal(second.aborted, true)
  assert.equal(lock.lost, second)
  assert.equal(before.aborted, false)

  assert.equal(await lock.tryAcquire(), true)
  const third = lock.lost
  assert.equal(third.aborted, false)
  // By a handle that has never asked: this one does not hear of it, but the next acquisition has a signal of its own.
  lockFile(file).release()
  assert.equal(lock.tryAcquireSync(), true)
  assert.notEqual(lock.lost, third)
  lose(file)
  lock[Symbol.dispose]()
  assert.equal(third.aborted, false)
})

test('disposal of a lock that was lost is quiet, and fires lost', onLinux, async (t) => {
  const [file] = temporaryPaths(t, 'test.lock')
  for (const dispose of [Symbol.dispose, Symbol.asyncDispose]) {
    const lock = await lockFile(file).acquire()
    const { lost } = lock
    lose(file)
    await lock[dispose]()
    assert.equal(lost.reason.code, 'ERR_LOCK_LOST')
    assert.equal(lock.held, false)
  }
})

test('run rejects when its lock was lost, once its task has ended well', onLinux, async (t) => {
  const [file] = temporaryPaths(t, 'test.lock')
  const lock = lockFile(file)
  let ended = false
  const error = await errorOf(() =>
    lock.run(async () => {
      lose(file)
      await new Promise(setImmediate)
      ended = true
    }),
  )
  assert.equal(error.code, 'ERR_LOCK_LOST')
  assert.equal(ended, true)
  assert.equal(lock.lost.reason, error)

  const failure = new Error('of the task')
  const thrown = await errorOf(() =>
    lock.run(() => {
      lose(file)
      throw failure
    }),
  )
  assert.equal(thrown, failure)
  assert.equal(lock.lost.reason.code, 'ERR_LOCK_LOST')
})
