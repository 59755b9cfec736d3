'use strict'

// What is told of several files: on the diagnostics channels, and in the stacks of errors.

const assert = require('node:assert/strict')
const diagnostics = require('node:diagnostics_channel')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile, lockFiles } = require('../..')
const { temporaryPaths } = require('../support/folders.js')
const { errorOf, until } = require('../support/waiting.js')
const { filesInOrder, isRequested } = require('./files.js')

/** What is told from now on, until the test ends: of each acquire the outcome, and each release. */
function listen(t) {
  const told = []
  const acquisitions = diagnostics.tracingChannel('locket.acquire')
  const note = ({ path: file, mode, timeout, acquisition, result, error }) => {
    const outcome = error?.code ?? (acquisition === undefined ? result : 'acquired')
    told.push({ file, mode, timeout, outcome, acquisition })
  }
  // A message of a sync method ends with `end`, and has its outcome by then.
  const end = (message) => (message.result === undefined && message.error === undefined ? undefined : note(message))
  const release = ({ path: file, acquisition }) => told.push({ file, outcome: 'released', acquisition })
  const subscribers = { asyncEnd: note, end }
  acquisitions.subscribe(subscribers)
  diagnostics.subscribe('locket.release', release)
  t.after(() => {
    acquisitions.unsubscribe(subscribers)
    diagnostics.unsubscribe('locket.release', release)
  })
  return told
}

const words = (told) => told.map(({ file, outcome }) => `${path.basename(file)} ${outcome}`)

for (const way of ['acquire', 'acquireSync']) {
  test(`each file is told of, with one number from its acquire to its release: ${way}`, async (t) => {
    const files = temporaryPaths(t, 'a', 'b')
    const told = listen(t)
    const locks = lockFiles([{ path: files[0], mode: 'shared' }, files[1]], { timeout: 5000 })
    await locks[way]()
    locks.release()
    assert.deepEqual(words(told), ['a acquired', 'b acquired', 'b released', 'a released'])
    assert.deepEqual(
      told.slice(0, 2).map(({ mode }) => mode),
      ['shared', 'exclusive'],
    )
    const [a, b, releasedB, releasedA] = told.map(({ acquisition }) => acquisition)
    assert.deepEqual([releasedA, releasedB], [a, b])
    assert.notEqual(a, b)
  })
}

test('tries that are refused, files that are given back, and waits are told of, with the timeout of all', async (t) => {
  const files = filesInOrder(t, 2)
  const [first, second] = files.map((file) => path.basename(file))
  const holder = await lockFile(files[1]).acquire()
  const told = listen(t)
  await assert.rejects(lockFiles(files).acquire(20), { code: 'ERR_LOCK_TIMEOUT' })
  holder.release()
  assert.deepEqual(words(told), [
    ...[`${first} acquired`, `${second} false`, `${first} released`],
    ...[`${first} acquired`, `${second} ERR_LOCK_TIMEOUT`, `${first} released`],
    `${second} released`,
  ])
  assert.deepEqual(
    told.map(({ timeout }) => timeout).filter((timeout) => timeout !== undefined),
    [0, 0, 20, 20],
  )
})

const CALLS = {
  'a timeout': (locks) => locks.acquire(5),
  'a timeout of 0': (locks) => locks.acquire(0),
  'a timeout in run': (locks) => locks.run(() => assert.fail('the task ran'), 5),
  'a signal that had fired': (locks) => locks.tryAcquire({ signal: AbortSignal.abort() }),
  ENOENT: (locks) => lockFiles([path.join(locks.paths[0], 'missing/x')]).acquire(),
  'a bad argument': (locks) => locks.acquire(NaN),
}

for (const [what, call] of Object.entries(CALLS)) {
  test(`the stack of an error leads to the caller, also where nobody awaits it at once: ${what}`, async (t) => {
    const files = filesInOrder(t, 2)
    const holder = await lockFile(files[1]).acquire()
    const locks = lockFiles(files)
    async function theCaller() {
      await call(locks)
    }
    async function theStarter() {
      const promise = call(locks)
      promise.catch(() => {})
      await until(() => !files.some(isRequested), 'the end of the wait')
      return promise
    }
    for (const caller of [theCaller, theStarter]) {
      const { stack } = await errorOf(caller)
      assert.ok(stack.includes(__filename), stack)
    }
    holder.release()
  })
}
