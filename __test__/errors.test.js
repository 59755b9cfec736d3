'use strict'

// The errors of the lock itself, and of aborting: class, code and properties, and where their stacks lead.

const assert = require('node:assert/strict')
const { EventEmitter, once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { LockError, LockTimeoutError, lockFile } = require('..')
const support = require('./support.js')

const { agent, errorOf, isFree, staysPending, temporaryPath, until } = support

/** `file`, locked by a handle that is released when the test ends. */
function locked(t, file, options) {
  const holder = lockFile(file).acquireSync(options)
  t.after(() => holder[Symbol.dispose]())
  return holder
}

describe('ERR_LOCK_TIMEOUT', () => {
  const forms = [
    (lock, timeout) => lock.acquire({ timeout }),
    async (lock, timeout) => lock.acquireSync({ timeout }),
    (lock, timeout) => lock.run(() => assert.fail('the task ran'), { timeout }),
    ({ path }, timeout) => lockFile(path, { timeout }).acquire(),
    async ({ path }, timeout) => lockFile(path, { timeout }).acquireSync(),
  ]

  test('a wait that ends without the lock says which lock, and how long it was', async (t) => {
    const file = temporaryPath(t)
    locked(t, file)
    const lock = lockFile(file)
    for (const timeout of [0, 1, 20]) {
      for (const form of forms) {
        const start = performance.now()
        const error = await errorOf(() => form(lock, timeout))
        assert.ok(performance.now() - start >= timeout)
        assert.ok(error instanceof LockTimeoutError && error instanceof LockError && error instanceof Error)
        assert.equal(error.name, 'LockTimeoutError')
        assert.equal(error.code, 'ERR_LOCK_TIMEOUT')
        assert.equal(error.path, file)
        assert.equal(error.timeout, timeout)
        assert.ok(error.message.startsWith(`Couldn't lock ${file}`), error.message)
        if (timeout > 0)
          assert.ok(error.message.startsWith(`Couldn't lock ${file} within ${timeout} ms`), error.message)
        assert.ok(error.stack.startsWith(`LockTimeoutError: ${error.message}\n`), error.stack)
        assert.equal(lock.held, false)
      }
    }
  })

  test('it is the same when another process holds the lock', async (t) => {
    const file = temporaryPath(t)
    assert.equal(await agent(t, file).ask('try'), 'true')
    for (const form of forms) {
      const error = await errorOf(() => form(lockFile(file), 20))
      assert.ok(error instanceof LockTimeoutError)
      assert.equal(error.timeout, 20)
      assert.ok(error.message.startsWith(`Couldn't lock ${file} within 20 ms`), error.message)
    }
  })

  test('trying is no error', async (t) => {
    const file = temporaryPath(t)
    locked(t, file)
    assert.equal(await lockFile(file, { timeout: 1 }).tryAcquire(), false)
    assert.equal(lockFile(file, { timeout: 1 }).tryAcquireSync(), false)
  })
})

test('ERR_LOCK_NOT_HELD: releasing what is not locked by this process, or only shared by others', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  const refuses = () =>
    assert.throws(
      () => lock.release(),
      (error) => {
        assert.ok(error instanceof LockError && !(error instanceof LockTimeoutError))
        assert.equal(error.name, 'LockError')
        assert.equal(error.code, 'ERR_LOCK_NOT_HELD')
        assert.equal(error.path, file)
        assert.ok(error.message.startsWith('cannot release unlocked lock'), error.message)
        return true
      },
    )

  refuses()
  assert.equal(fs.existsSync(file), false)
  await lock.acquire()
  lock.release()
  refuses()

  const sharing = locked(t, file, { mode: 'shared' })
  refuses()
  assert.equal(sharing.held, true)
  sharing.release()

  const other = agent(t, file)
  assert.equal(await other.ask('try'), 'true')
  refuses()
  assert.equal(await isFree(file), false)
})

describe('the errors', () => {
  test('can be made by hand, with their fields', () => {
    const cause = new Error('why')
    const lost = new LockError('gone', { code: 'ERR_LOCK_LOST', path: '/x', cause })
    assert.deepEqual([lost.name, lost.message, lost.code, lost.path], ['LockError', 'gone', 'ERR_LOCK_LOST', '/x'])
    assert.equal(lost.cause, cause)
    assert.ok(lost.stack.startsWith('LockError: gone\n'))
    assert.equal(Object.hasOwn(new LockError('gone', { code: 'ERR_LOCK_LOST', path: '/x' }), 'cause'), false)

    const holders = [{ pid: 1, mode: 'shared' }]
    const late = new LockTimeoutError('late', { path: '/x', timeout: 5, holders, cause })
    assert.ok(late instanceof LockError)
    assert.deepEqual([late.name, late.message, late.code], ['LockTimeoutError', 'late', 'ERR_LOCK_TIMEOUT'])
    assert.deepEqual([late.path, late.timeout, late.holders, late.cause], ['/x', 5, holders, cause])
    assert.equal(new LockTimeoutError('late', { path: '/x', timeout: 5 }).holders, undefined)
  })

  test('have their name, message and fields in JSON, and no command line', () => {
    const lost = new LockError('gone', { code: 'ERR_LOCK_LOST', path: '/x', cause: new Error('why') })
    assert.deepEqual(JSON.parse(JSON.stringify(Object.assign(lost, { request: 7 }))), {
      name: 'LockError',
      message: 'gone',
      code: 'ERR_LOCK_LOST',
      path: '/x',
      request: 7,
    })
    const holders = [{ pid: 1, mode: 'shared', command: 'deploy --token=secret' }]
    const late = new LockTimeoutError('late', { path: '/x', timeout: 5, holders })
    assert.deepEqual(JSON.parse(JSON.stringify({ late })).late, {
      name: 'LockTimeoutError',
      message: 'late',
      code: 'ERR_LOCK_TIMEOUT',
      path: '/x',
      timeout: 5,
      holders: [{ pid: 1, mode: 'shared' }],
    })
    assert.equal(late.holders, holders)
  })
})

describe('what the native part tells', () => {
  const { refusalError } = require('../lib/errors.js')

  test('that a path does not answer is a timeout whose holders are unknown', () => {
    for (const [timeout, message] of [
      [500, "Couldn't lock /x within 500 ms: the path does not answer"],
      [0, "Couldn't lock /x: the path does not answer"],
      // Of a question, which has no timeout.
      [undefined, "Couldn't lock /x: the path does not answer"],
    ]) {
      const error = refusalError({ reason: 'unanswered' }, { path: '/x', timeout })
      assert.ok(error instanceof LockTimeoutError)
      assert.deepEqual([error.message, error.timeout, error.holders], [message, timeout ?? 0, undefined])
    }
  })

  test('a lock that is lost is a LockError', () => {
    const error = refusalError({ reason: 'lost' }, { path: '/x' })
    assert.ok(error instanceof LockError)
    assert.deepEqual([error.name, error.code, error.path], ['LockError', 'ERR_LOCK_LOST', '/x'])
    assert.match(error.message, /\/x/)
  })

  test('where the system does not tell who holds the lock, the error does not either', () => {
    const error = refusalError({ reason: 'timeout' }, { path: '/x', timeout: 5 }, undefined)
    assert.deepEqual([error.message, error.holders], ["Couldn't lock /x within 5 ms: it is locked", undefined])
  })
})

describe('ABORT_ERR', () => {
  /** It must be what Node itself makes of this signal. */
  async function isNodes(error, signal) {
    const nodes = await errorOf(() => once(new EventEmitter(), 'never', { signal }))
    assert.ok(error instanceof Error && !(error instanceof LockError))
    assert.equal(error.name, 'AbortError')
    assert.equal(error.code, 'ABORT_ERR')
    assert.equal(error.cause, signal.reason)
    assert.equal(error.message, nodes.message)
    assert.equal(typeof error.path, 'string')
    const properties = [...Object.getOwnPropertyNames(nodes), 'path']
    assert.deepEqual(Object.getOwnPropertyNames(error).sort(), properties.sort())
    assert.ok(error.stack.startsWith(`AbortError: ${error.message}\n`), error.stack)
  }

  const forms = {
    acquire: (lock, signal) => lock.acquire({ signal }),
    tryAcquire: (lock, signal) => lock.tryAcquire({ signal }),
    run: (lock, signal) => lock.run(() => assert.fail('the task ran'), { signal }),
  }
  const reasons = { none: undefined, 'an error': new Error('enough'), 'a string': 'enough', 'a falsy value': 0 }

  for (const [form, call] of Object.entries(forms)) {
    test(`${form} with a signal that had fired rejects, though the lock is free, and touches nothing`, async (t) => {
      const lock = lockFile(temporaryPath(t))
      for (const reason of Object.values(reasons)) {
        const signal = AbortSignal.abort(reason)
        const error = await errorOf(() => call(lock, signal))
        await isNodes(error, signal)
        assert.equal(error.path, lock.path)
        assert.equal(lock.held, false)
      }
      assert.deepEqual(fs.readdirSync(path.dirname(lock.path)), [])
    })
  }

  for (const form of ['acquire', 'run']) {
    for (const [what, reason] of Object.entries(reasons)) {
      test(`${form} rejects when the signal fires while it waits, with ${what} for a reason`, async (t) => {
        const holder = locked(t, temporaryPath(t))
        const lock = lockFile(holder.path)
        const controller = new AbortController()
        const wait = forms[form](lock, controller.signal)
        assert.ok(await staysPending(wait))
        controller.abort(reason)
        await isNodes(await errorOf(() => wait), controller.signal)
        assert.equal(holder.held, true)
        holder.release()
        assert.equal(await isFree(holder.path), true)
      })
    }
  }

  test('the reason of a signal that is a timeout is the cause', async (t) => {
    const holder = locked(t, temporaryPath(t))
    const signal = AbortSignal.timeout(5)
    const error = await errorOf(() => lockFile(holder.path).acquire({ signal, timeout: support.PATIENCE * 2 }))
    await isNodes(error, signal)
    assert.equal(error.cause.name, 'TimeoutError')
  })

  test('a wait that another process is in the way of is given up too', async (t) => {
    const file = temporaryPath(t)
    assert.equal(await agent(t, file).ask('try'), 'true')
    const controller = new AbortController()
    const wait = lockFile(file).acquire({ signal: controller.signal })
    assert.ok(await staysPending(wait))
    controller.abort()
    await isNodes(await errorOf(() => wait), controller.signal)
  })
})

describe('the stack of an asynchronous error leads to the await', () => {
  /** An aborting signal, at a time when nothing of the caller is on the stack. */
  function soon() {
    const controller = new AbortController()
    setImmediate(() => controller.abort())
    return controller.signal
  }

  const task = () => assert.fail('the task ran')
  const missing = (lock) => lockFile(`${lock.path}.missing/x.lock`)
  const calls = {
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

  for (const [what, call] of Object.entries(calls)) {
    test(`of ${what}`, async (t) => {
      const holder = locked(t, temporaryPath(t))
      const lock = lockFile(holder.path)

      async function theInnerCaller() {
        await null
        await call(lock)
      }
      async function theOuterCaller() {
        await theInnerCaller()
      }

      const { stack } = await errorOf(theOuterCaller)
      for (const { name } of [theInnerCaller, theOuterCaller]) {
        const frame = stack.split('\n').find((line) => line.includes(name))
        assert.ok(frame?.includes(__filename), `${name} is not in this stack:\n${stack}`)
      }
    })
  }

  const callsThatWait = ['a timeout', 'a signal that fires', 'ENOENT', 'ENOENT in tryAcquire', 'a timeout in run']
  for (const what of callsThatWait) {
    test(`or to the call, where nobody awaits its promise: of ${what}`, async (t) => {
      const holder = locked(t, temporaryPath(t))
      const lock = lockFile(holder.path)
      const caught = []
      function theCaller() {
        // Node sees to it that the error is told, and not by whom it was awaited.
        calls[what](lock).catch((error) => caught.push(error))
      }
      theCaller()
      await until(() => caught.length > 0, 'the error')
      const [{ stack }] = caught
      const frame = stack.split('\n').find((line) => line.includes('theCaller'))
      assert.ok(frame?.includes(__filename), `the caller is not in this stack:\n${stack}`)
    })
  }

  test('and what a task throws is passed on as it is', async (t) => {
    const lock = lockFile(temporaryPath(t))
    const thrown = new Error('from the task')
    const { stack } = thrown
    for (const failing of [() => Promise.reject(thrown), raise]) {
      const error = await errorOf(() => lock.run(failing))
      assert.equal(error, thrown)
      assert.equal(error.stack, stack)
      assert.equal(lock.held, false)
    }
    function raise() {
      throw thrown
    }
  })
})
