'use strict'

// The drop-in: lock() and the function that it resolves to, as proper-lockfile's own tests demand them.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const lockfile = require('@locket/native/proper-lockfile')
const { LockTimeoutError } = require('../..')
const { temporaryFolder } = require('../support/folders.js')
const { errorOf, eventually, until } = require('../support/waiting.js')
const { isThere, leave, linked, lockable, setAge } = require('./files.js')

test('lock() is the module itself', () => {
  assert.equal(lockfile, lockfile.lock)
})

test('a lock is a folder beside the file, which is removed by the release', async (t) => {
  const { file, entry } = lockable(t)
  const promise = lockfile.lock(file)
  assert.ok(promise instanceof Promise)
  const release = await promise
  assert.ok(fs.statSync(entry).isDirectory())
  assert.deepEqual(fs.readdirSync(entry), [])
  assert.equal(await release(), undefined)
  assert.equal(isThere(entry), false)
  await (await lockfile.lock(file))()
})

test('a second lock is ELOCKED, with the file, and its cause says who holds it', async (t) => {
  const { file } = lockable(t)
  const release = await lockfile.lock(file)
  const error = await errorOf(() => lockfile.lock(file))
  assert.deepEqual([error.code, error.file, error.message], ['ELOCKED', file, 'Lock file is already being held'])
  assert.ok(error.cause instanceof LockTimeoutError)
  assert.deepEqual(
    error.cause.holders.map(({ pid }) => pid),
    [process.pid],
  )
  await release()
})

test('a release that is repeated is ERELEASED, whoever holds the lock by then', async (t) => {
  const { file, entry } = lockable(t)
  const release = await lockfile.lock(file)
  await release()
  const next = await lockfile.lock(file)
  const error = await errorOf(release)
  assert.deepEqual([error.code, error.file, error.message], ['ERELEASED', file, 'Lock is already released'])
  assert.ok(isThere(entry))
  await next()
})

test('a file that is missing is ENOENT, unless realpath is false', async (t) => {
  const file = path.join(temporaryFolder(t), 'missing')
  assert.equal((await errorOf(() => lockfile.lock(file))).code, 'ENOENT')
  const release = await lockfile.lock(file, { realpath: false })
  assert.ok(isThere(`${file}.lock`))
  await release()
  assert.deepEqual(fs.readdirSync(path.dirname(file)), [])
})

test('a folder that is missing is ENOENT', async (t) => {
  const file = path.join(temporaryFolder(t), 'missing', 'data.json')
  assert.equal((await errorOf(() => lockfile.lock(file))).code, 'ENOENT')
  assert.equal((await errorOf(() => lockfile.lock(file, { realpath: false }))).code, 'ENOENT')
})

test('lockfilePath names the lock entry, such as one inside of a folder that is locked', async (t) => {
  const folder = temporaryFolder(t)
  const entry = path.join(folder, 'dir.lock')
  const release = await lockfile.lock(folder, { lockfilePath: entry })
  assert.ok(isThere(entry))
  assert.equal(isThere(`${folder}.lock`), false)
  assert.equal((await errorOf(() => lockfile.lock(folder, { lockfilePath: entry }))).code, 'ELOCKED')
  await release()
  assert.equal(isThere(entry), false)
})

test('two entries of one file are two locks', async (t) => {
  const folder = temporaryFolder(t)
  const [one, other] = ['one.lock', 'other.lock'].map((name) => path.join(folder, name))
  const release = await lockfile.lock(folder, { lockfilePath: one })
  await lockfile.lock(folder, { lockfilePath: other })
  await release()
  assert.deepEqual([isThere(one), isThere(other)], [false, true])
  await lockfile.lock(folder, { lockfilePath: one })
  await lockfile.unlock(folder, { lockfilePath: other })
  assert.deepEqual([isThere(one), isThere(other)], [true, false])
  await lockfile.unlock(folder, { lockfilePath: one })
  assert.equal(isThere(one), false)
})

test('a symbolic link is a name of the same lock, unless realpath is false', async (t) => {
  const { file, entry, link } = linked(t)
  const release = await lockfile.lock(link)
  assert.ok(isThere(entry))
  for (const name of [link, file]) assert.equal((await errorOf(() => lockfile.lock(name))).code, 'ELOCKED')
  await release()
  const releases = [await lockfile.lock(link, { realpath: false }), await lockfile.lock(file, { realpath: false })]
  assert.deepEqual([isThere(`${link}.lock`), isThere(entry)], [true, true])
  for (const each of releases) await each()
})

test('a lock that was left behind is taken over', async (t) => {
  const { file, entry } = lockable(t)
  leave(entry, 60_000)
  const release = await lockfile.lock(file)
  assert.ok(fs.statSync(entry).mtimeMs > Date.now() - 10_000)
  await release()
  assert.equal(isThere(entry), false)
})

for (const stale of [100, false, 0, undefined, null]) {
  test(`stale is at least 2000: ${stale}`, async (t) => {
    const { file, entry } = lockable(t)
    leave(entry, 200)
    assert.equal((await errorOf(() => lockfile.lock(file, { stale }))).code, 'ELOCKED')
    setAge(entry, 2100)
    await (await lockfile.lock(file, { stale }))()
  })
}

/** The times at which a lock is renewed, from its beginning. */
async function renewals(t, options, number) {
  const { file, entry } = lockable(t)
  const release = await lockfile.lock(file, options)
  const times = [fs.statSync(entry).mtimeMs]
  await until(() => {
    const { mtimeMs } = fs.statSync(entry)
    if (mtimeMs !== times.at(-1)) times.push(mtimeMs)
    return times.length > number
  }, 'the renewals')
  await release()
  return times
}

for (const update of [100, false, 0]) {
  test(`a lock is renewed again and again, after 1000 ms at least: update ${update}`, async (t) => {
    const times = await renewals(t, { update }, 2)
    for (const [i, time] of times.slice(1).entries()) assert.ok(time - times[i] > 900, String(times))
  })
}

test('a lock is renewed before half of stale is over, whatever update says', async (t) => {
  const times = await renewals(t, { stale: 4000, update: 60_000 }, 1)
  assert.ok(times[1] - times[0] > 1500, String(times))
})

test('an event loop that is blocked for longer than stale loses nothing', async (t) => {
  const { file, entry } = lockable(t)
  const release = await lockfile.lock(file, { stale: 2000, update: 1000, onCompromised: assert.fail })
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000)
  // What every other program judges by.
  assert.ok(fs.statSync(entry).mtimeMs > Date.now() - 2000)
  await release()
})

test('a program that uses proper-lockfile and one that uses the drop-in exclude each other', async (t) => {
  const theirs = require('proper-lockfile')
  const { file } = lockable(t)
  for (const [one, other] of [
    [lockfile, theirs],
    [theirs, lockfile],
  ]) {
    const release = await one.lock(file)
    assert.equal((await errorOf(() => other.lock(file))).code, 'ELOCKED')
    assert.throws(() => other.lockSync(file), { code: 'ELOCKED' })
    assert.deepEqual([await other.check(file), other.checkSync(file)], [true, true])
    await release()
    assert.deepEqual([await other.check(file), other.checkSync(file)], [false, false])
    await eventually((await other.lock(file))(), 'the release')
  }
})
