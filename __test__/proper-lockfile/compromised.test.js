'use strict'

// The drop-in: what happens when a lock is lost, and at the end of the process.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const lockfile = require('@locket/native/proper-lockfile')
const { script } = require('../support/processes.js')
const { errorOf, eventually } = require('../support/waiting.js')
const { isThere, leave, lockable, setAge } = require('./files.js')

const CWD = { cwd: path.join(__dirname, '../..') }
const LOAD = "const fs = require('node:fs'), lockfile = require('@locket/native/proper-lockfile')\n"

/** Locks a file, and resolves to the error that is passed to onCompromised once `spoil` is called. */
async function compromise(t, spoil, options) {
  const { file, entry } = lockable(t)
  let release
  const compromised = new Promise((resolve, reject) => {
    lockfile.lock(file, { ...options, onCompromised: resolve }).then((given) => {
      release = given
      spoil(entry)
    }, reject)
  })
  const error = await eventually(compromised, 'the loss')
  return { file, entry, error, release }
}

test('onCompromised gets ECOMPROMISED when the entry is removed, and the lock can be had again', async (t) => {
  const { file, error, release } = await compromise(t, fs.rmdirSync, { update: 1000 })
  assert.deepEqual([error.code, error.file], ['ECOMPROMISED', file])
  assert.match(error.message, /ENOENT/)
  assert.equal((await errorOf(release)).code, 'ERELEASED')
  assert.equal((await errorOf(() => lockfile.unlock(file))).code, 'ENOTACQUIRED')
  await (await lockfile.lock(file))()
})

test('onCompromised gets ECOMPROMISED when another takes the entry, which stays', async (t) => {
  const steal = (entry) => {
    fs.rmdirSync(entry)
    leave(entry, 0)
  }
  const { file, entry, error, release } = await compromise(t, steal, { update: 1000 })
  assert.deepEqual([error.code, error.file], ['ECOMPROMISED', file])
  assert.equal(error.message, 'Unable to update lock within the stale threshold')
  assert.equal((await errorOf(release)).code, 'ERELEASED')
  assert.ok(isThere(entry))
})

test('onCompromised gets ECOMPROMISED when somebody makes the entry look stale, as if nobody held it', async (t) => {
  const { entry, error, release } = await compromise(t, (entry) => setAge(entry, 60_000), { stale: 4000, update: 1000 })
  assert.deepEqual([error.code, error.message], ['ECOMPROMISED', 'Unable to update lock within the stale threshold'])
  assert.equal((await errorOf(release)).code, 'ERELEASED')
  // Others may be about to take it.
  assert.ok(isThere(entry))
})

test('a release of what another has taken meanwhile is ECOMPROMISED, and leaves it alone', async (t) => {
  const { file, entry } = lockable(t)
  const release = await lockfile.lock(file, { onCompromised: assert.fail })
  fs.rmdirSync(entry)
  leave(entry, 0)
  // At once, before the loss is noticed.
  assert.equal((await errorOf(release)).code, 'ECOMPROMISED')
  assert.ok(isThere(entry))
})

test('a release of an entry that was removed meanwhile succeeds', async (t) => {
  const { file, entry } = lockable(t)
  const release = await lockfile.lock(file, { onCompromised: assert.fail })
  fs.rmdirSync(entry)
  await release()
})

test('by default, a loss ends the process with ECOMPROMISED', async (t) => {
  const { file } = lockable(t)
  const source = `${LOAD}
    lockfile.lockSync(process.argv[1], { update: 1000 })
    fs.rmdirSync(process.argv[1] + '.lock')
    setInterval(() => {}, 1000)`
  const { code, stderr } = await script(t, source, [file], CWD).ended()
  assert.equal(code, 1, stderr)
  assert.match(stderr, /ECOMPROMISED/)
})

test('what onCompromised throws is an uncaught exception', async (t) => {
  const { file } = lockable(t)
  const source = `${LOAD}
    process.on('uncaughtException', ({ message }) => { console.log(message); process.exit() })
    lockfile.lockSync(process.argv[1], { update: 1000, onCompromised() { throw new Error('on purpose') } })
    fs.rmdirSync(process.argv[1] + '.lock')
    setInterval(() => {}, 1000)`
  assert.equal(await script(t, source, [file], CWD).line(), 'on purpose')
})

test('an exception that nobody catches leaves no lock behind', async (t) => {
  const { file, entry } = lockable(t)
  const source = `${LOAD}
    lockfile.lockSync(process.argv[1])
    console.log(fs.existsSync(process.argv[1] + '.lock'))
    throw new Error('on purpose')`
  const crashed = script(t, source, [file], CWD)
  assert.equal(await crashed.line(), 'true')
  assert.match((await crashed.ended()).stderr, /on purpose/)
  assert.equal(isThere(entry), false)
})

test('a lock does not keep its process alive', async (t) => {
  const { file, entry } = lockable(t)
  const source = `${LOAD}
    lockfile.lockSync(process.argv[1])
    console.log('locked')`
  const done = script(t, source, [file], CWD)
  assert.equal(await done.line(), 'locked')
  assert.equal((await done.ended()).code, 0)
  assert.equal(isThere(entry), false)
})
