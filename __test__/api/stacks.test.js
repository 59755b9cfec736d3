'use strict'

// The stack of an asynchronous error leads to the caller.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { locked } = require('../support/locks.js')
const { errorOf, until } = require('../support/waiting.js')

/** A signal that aborts when nothing of the caller is on the stack. */
function soon() {
  const controller = new AbortController()
  setImmediate(() => controller.abort())
  return controller.signal
}

const task = () => assert.fail('the task ran')
const missing = (lock) => lockFile(`${lock.path}.missing/x.lock`)

/** Calls that fail, with a handle whose lock is held. */
const CALLS = {
  'a timeout': (lock) => lock.acquire({ timeout: 5 }),
  'a timeout of 0': (lock) => lock.acquire({ timeout: 0 }),
  'a timeout in run': (lock) => lock.run(task, { timeout: 5 }),
  'a signal that had fired': (lock) => lock.acquire({ signal: AbortSignal.abort() }),
  'a signal that fires': (lock) => lock.acquire({ signal: soon() }),
  'a signal that fires in run': (lock) => lock.run(task, { signal: soon() }),
  'a signal that had fired in tryAcquire': (lock) => lock.tryAcquire({ signal: AbortSignal.abort() }),
  ENOENT: (lock) => missing(lock).acquire(),
  'ENOENT in run': (lock) => missing(lock).run(task),
  'ENOENT in tryAcquire': (lock) => missing(lock).tryAcquire(),
  'EISDIR in isLocked': (lock) => lockFile(path.dirname(lock.path)).isLocked(),
  'a bad argument': (lock) => lock.acquire({ timeout: NaN }),
  'a bad task': (lock) => lock.run('build'),
}

function assertNames(stack, name) {
  const frame = stack.split('\n').find((line) => line.includes(name))
  assert.ok(frame?.includes(__filename), `${name} is not in this stack:\n${stack}`)
}

for (const [what, call] of Object.entries(CALLS)) {
  test(`the stack of an asynchronous error leads to the await: of ${what}`, async (t) => {
    const lock = lockFile(locked(t, temporaryPath(t)).path)
    async function theInnerCaller() {
      await null
      await call(lock)
    }
    async function theOuterCaller() {
      await theInnerCaller()
    }
    const { stack } = await errorOf(theOuterCaller)
    for (const { name } of [theInnerCaller, theOuterCaller]) assertNames(stack, name)
  })
}

for (const what of ['a timeout', 'a signal that fires', 'ENOENT', 'ENOENT in tryAcquire', 'a timeout in run']) {
  test(`it leads to the call, where nobody awaits its promise: of ${what}`, async (t) => {
    const lock = lockFile(locked(t, temporaryPath(t)).path)
    const caught = []
    function theCaller() {
      CALLS[what](lock).catch((error) => caught.push(error))
    }
    theCaller()
    await until(() => caught.length > 0, 'the error')
    assertNames(caught[0].stack, 'theCaller')
  })
}
