'use strict'

// What a semaphore is made of, and which arguments it refuses.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { pathToFileURL } = require('node:url')
const { inspect } = require('node:util')

const { LockError, semaphore } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { errorOf } = require('../support/waiting.js')

const TYPE = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }
const VALUE = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }
const RANGE = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }

/** Values, and how they are refused as the number of permits. */
const NUMBERS = [
  [NaN, RANGE],
  [0, RANGE],
  [-1, RANGE],
  [1.5, RANGE],
  [1025, RANGE],
  [1e9, RANGE],
  [Infinity, RANGE],
  ['4', TYPE],
  [4n, TYPE],
  [null, TYPE],
  [undefined, TYPE],
  [{}, TYPE],
  [new Number(4), TYPE],
]

test('a number of permits that is no integer from 1 to 1024 is refused at the call, and nothing is made', (t) => {
  const file = temporaryPath(t)
  for (const [permits, error] of NUMBERS) assert.throws(() => semaphore(file, permits), error, inspect(permits))
  for (const permits of [1, 2, 1024]) assert.equal(semaphore(file, permits).permits, permits)
  assert.deepEqual(fs.readdirSync(path.dirname(file)), [])
})

test('a path and options that are wrong are refused at the call', (t) => {
  const file = temporaryPath(t)
  assert.throws(() => semaphore(undefined, 4), TYPE)
  assert.throws(() => semaphore('', 4), VALUE)
  assert.throws(() => semaphore('a\0b', 4), VALUE)
  assert.throws(() => semaphore(file, 4, { timeout: -1 }), RANGE)
  assert.throws(() => semaphore(file, 4, { timeout: '5' }), TYPE)
  assert.throws(() => semaphore(file, 4, { fileMode: 0o10000 }), RANGE)
  assert.throws(() => semaphore(file, 4, 5000), TYPE)
  for (const name of ['mode', 'protocol', 'removeOnRelease', 'allowDirectory', 'permits', 'signal']) {
    assert.throws(() => semaphore(file, 4, { [name]: 'shared' }), VALUE, name)
  }
})

test('options of a wait that are wrong are a rejection, never thrown, and nothing is made', async (t) => {
  const file = temporaryPath(t)
  const it = semaphore(file, 4)
  const CASES = [
    [() => it.acquire(-1), RANGE],
    [() => it.acquire('5'), TYPE],
    [() => it.acquire({ mode: 'shared' }), VALUE],
    [() => it.acquire({ signal: {} }), TYPE],
    [() => it.tryAcquire({ timeout: 5 }), VALUE],
    [() => it.tryAcquire(5), TYPE],
    [() => it.run(), TYPE],
    [() => it.run(Promise.resolve()), TYPE],
    [() => it.run(() => assert.fail('called'), { mode: 'shared' }), VALUE],
    [() => it.run(() => assert.fail('called'), NaN), RANGE],
  ]
  for (const [call, error] of CASES) {
    const promise = call()
    await assert.rejects(promise, error, String(call))
  }
  assert.deepEqual(fs.readdirSync(path.dirname(file)), [])
})

test('the path is absolute, and may be bytes or a URL', async (t) => {
  const file = temporaryPath(t)
  assert.equal(semaphore('build.slots', 1).path, path.resolve('build.slots'))
  const permit = await semaphore(pathToFileURL(file), 1).acquire()
  assert.equal(await semaphore(Buffer.from(file), 1).tryAcquire(), undefined)
  assert.equal(semaphore(Buffer.from(file), 1).path, file)
  permit.release()
})

test('a path that is not UTF-8 is one semaphore, whose slots stand beside it', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const folder = path.dirname(temporaryPath(t))
  const name = Buffer.from([0x61, 0xff])
  const file = Buffer.concat([Buffer.from(`${folder}/`), name])
  const it = semaphore(file, 2)
  const permit = await it.acquire()
  assert.deepEqual(
    (await it.holders()).map(({ pid }) => pid),
    [process.pid],
  )
  for (const entry of fs.readdirSync(folder, 'buffer')) assert.deepEqual(entry.subarray(0, 2), name)
  permit.release()
})

test('neither a semaphore nor a permit can be cloned', async (t) => {
  const it = semaphore(temporaryPath(t), 1)
  const permit = await it.acquire()
  for (const value of [it, permit]) assert.throws(() => structuredClone(value), { name: 'DataCloneError' })
  permit.release()
})

test('a semaphore and a permit show what they are', async (t) => {
  const it = semaphore(temporaryPath(t), 3)
  const permit = await it.acquire()
  assert.equal(inspect(it), `Semaphore ${inspect({ path: it.path, permits: 3 })}`)
  assert.equal(inspect(permit), `Permit ${inspect({ path: it.path, held: true })}`)
  permit.release()
})

test('an error leads to the await of the caller', async (t) => {
  const file = temporaryPath(t)
  const permit = await semaphore(file, 1).acquire()
  async function theCaller() {
    await semaphore(file, 1).acquire(0)
  }
  const error = await errorOf(theCaller)
  assert.ok(error instanceof LockError)
  assert.match(error.stack, /theCaller/)
  permit.release()
})
