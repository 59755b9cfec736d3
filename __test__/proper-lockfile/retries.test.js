'use strict'

// The drop-in: retries, with the number and times of the attempts that proper-lockfile makes.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const lockfile = require('@locket/native/proper-lockfile')
const { temporaryFolder } = require('../support/folders.js')
const { script } = require('../support/processes.js')
const { errorOf, eventually, staysPending } = require('../support/waiting.js')
const { lockable } = require('./files.js')

/** Locks a file for the test, and returns the function that releases it. */
async function held(t) {
  const { file } = lockable(t)
  return { file, release: await lockfile.lock(file) }
}

test('the lock comes as soon as it is released, not with the next attempt', async (t) => {
  for (const retries of [1, { retries: 1, minTimeout: 60_000 }, { minTimeout: 60_000 }, [60_000], { forever: true }]) {
    const { file, release } = await held(t)
    const wait = lockfile.lock(file, { retries })
    assert.ok(await staysPending(wait))
    await release()
    await (await eventually(wait, 'the lock'))()
  }
})

/** Values of retries, and how long they last in milliseconds. */
const DURATIONS = [
  [{ retries: 0 }, 0],
  [[], 0],
  [{ retries: 3, factor: 1, minTimeout: 50 }, 150],
  [{ retries: 3, factor: 2, minTimeout: 20 }, 140],
  [{ retries: 3, factor: 10, minTimeout: 20, maxTimeout: 50 }, 120],
  [{ retries: 3, factor: 1, minTimeout: 50, randomize: true }, 150],
  [{ retries: 1000, factor: 1, minTimeout: 50, maxRetryTime: 120 }, 150],
  [{ retries: 20, minTimeout: 0 }, 20],
  [[30, 70], 100],
  [{ retries: 3, factor: 1, minTimeout: 50, unref: true }, 150],
]

for (const [retries, duration] of DURATIONS) {
  test(`an error comes when the last attempt has failed: ${JSON.stringify(retries)}`, async (t) => {
    const { file, release } = await held(t)
    const begin = performance.now()
    assert.equal((await errorOf(() => lockfile.lock(file, { retries }))).code, 'ELOCKED')
    assert.ok(performance.now() - begin > duration - 2)
    await release()
  })
}

test('a lock without an end of its attempts stays in line', async (t) => {
  const { file, release: first } = await held(t)
  let release = first
  for (const retries of [{ forever: true, minTimeout: 1, maxTimeout: 1 }, Infinity]) {
    const wait = lockfile.lock(file, { retries })
    assert.ok(await staysPending(wait, 100))
    await release()
    release = await eventually(wait, 'the lock')
  }
  await release()
})

test('an attempt that fails for another reason is repeated, too', async (t) => {
  const folder = path.join(temporaryFolder(t), 'later')
  const file = path.join(folder, 'data.json')
  const wait = lockfile.lock(file, { realpath: false, retries: { retries: 10_000, factor: 1, minTimeout: 1 } })
  assert.ok(await staysPending(wait))
  fs.mkdirSync(folder)
  await (await eventually(wait, 'the lock'))()
  fs.rmdirSync(folder)
  const retries = { retries: 2, factor: 1, minTimeout: 1 }
  assert.equal((await errorOf(() => lockfile.lock(file, { realpath: false, retries }))).code, 'ENOENT')
})

test('pauses whose least is greater than their greatest are an error', async (t) => {
  const { file } = lockable(t)
  const retries = { minTimeout: 2, maxTimeout: 1 }
  assert.equal((await errorOf(() => lockfile.lock(file, { retries }))).message, 'minTimeout is greater than maxTimeout')
})

test('with unref, a process ends although it waits', async (t) => {
  const { file, release } = await held(t)
  const source = `
    const lockfile = require('@locket/native/proper-lockfile')
    lockfile.lock(process.argv[1], { retries: { minTimeout: 60_000, unref: true } }).then(() => console.log('locked'))`
  const waiter = script(t, source, [file], { cwd: path.join(__dirname, '../..') })
  assert.equal((await waiter.ended()).code, 0)
  await release()
})
