'use strict'

// The errors of the lock itself, and of aborting: class, code and properties.

const assert = require('node:assert/strict')
const { EventEmitter, once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { LockError, LockTimeoutError, lockFile } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { isFree, locked } = require('../support/locks.js')
const { holderOf } = require('../support/processes.js')
const { errorOf, PATIENCE, staysPending } = require('../support/waiting.js')

describe('ERR_LOCK_TIMEOUT', () => {
  const forms = [
    (lock, timeout) => lock.acquire({ timeout }),
    async (lock, timeout) => lock.acquireSync({ timeout }),
    (lock, timeout) => lock.run(() => assert.fail('the task ran'), { timeout }),
    ({ path }, timeout) => lockFile(path, { timeout }).acquire(),
    async ({ path }, timeout) => lockFile(path, { timeout }).acquireSync(),
  ]

  for (const [whose, hold] of Object.entries({ 'this process': locked, 'another process': holderOf })) {
    test(`a wait for a lock of ${whose} that ends without it says which lock, and how long it was`, async (t) => {
      const file = temporaryPath(t)
      await hold(t, file)
      const lock = lockFile(file)
      for (const timeout of [0, 1, 20]) {
        for (const form of forms) {
          const error = await errorOf(() => form(lock, timeout))
          assert.ok(error instanceof LockTimeoutError && error instanceof LockError && error instanceof Error)
          assert.equal(error.name, 'LockTimeoutError')
          assert.equal(error.code, 'ERR_LOCK_TIMEOUT')
          assert.equal(error.path, file)
          assert.equal(error.timeout, timeout)
          const begin = `Couldn't lock ${file}${timeout > 0 ? ` within ${timeout} ms` : ''}: `
          assert.ok(error.message.startsWith(begin), error.message)
          assert.ok(error.stack.startsWith(`LockTimeoutError: ${error.message}\n`), error.stack)
          assert.equal(lock.held, false)
        }
      }
      assert.equal(await lockFile(file, { timeout: 1 }).tryAcquire(), false)
      assert.equal(lockFile(file, { timeout: 1 }).tryAcquireSync(), false)
    })
  }
})

test('ERR_LOCK_NOT_HELD: a release of what is not locked by this process, or only shared by others', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  async function refuses() {
    const error = await errorOf(async () => lock.release())
    assert.ok(error instanceof LockError && !(error instanceof LockTimeoutError))
    assert.deepEqual([error.name, error.code, error.path], ['LockError', 'ERR_LOCK_NOT_HELD', file])
    assert.ok(error.message.startsWith('cannot release unlocked lock'), error.message)
  }
  await refuses()
  assert.equal(fs.existsSync(file), false)
  await lock.acquire()
  lock.release()
  await refuses()

  const sharing = locked(t, file, { mode: 'shared' })
  await refuses()
  assert.equal(sharing.held, true)
  sharing.release()

  await holderOf(t, file)
  await refuses()
  assert.equal(await isFree(file), false)
})

describe('the errors', () => {
  const cause = new Error('why')
  const holders = [{ pid: 1, mode: 'shared', command: 'deploy --token=secret' }]

  test('can be made by hand, with their fields', () => {
    const lost = new LockError('gone', { code: 'ERR_LOCK_LOST', path: '/x', cause })
    assert.deepEqual([lost.name, lost.message, lost.code, lost.path], ['LockError', 'gone', 'ERR_LOCK_LOST', '/x'])
    assert.equal(lost.cause, cause)
    assert.ok(lost.stack.startsWith('LockError: gone\n'))
    assert.equal(Object.hasOwn(new LockError('gone', { code: 'ERR_LOCK_LOST', path: '/x' }), 'cause'), false)

    const late = new LockTimeoutError('late', { path: '/x', timeout: 5, holders, cause })
    assert.ok(late instanceof LockError)
    assert.deepEqual([late.name, late.message, late.code], ['LockTimeoutError', 'late', 'ERR_LOCK_TIMEOUT'])
    assert.deepEqual([late.path, late.timeout, late.holders, late.cause], ['/x', 5, holders, cause])
    assert.equal(new LockTimeoutError('late', { path: '/x', timeout: 5 }).holders, undefined)
  })

  test('have their name, message and fields in JSON, and no command line', () => {
    const jsonOf = (error) => JSON.parse(JSON.stringify({ error })).error
    const lost = Object.assign(new LockError('gone', { code: 'ERR_LOCK_LOST', path: '/x', cause }), { request: 7 })
    const fields = { name: 'LockError', message: 'gone', code: 'ERR_LOCK_LOST', path: '/x', request: 7 }
    assert.deepEqual(jsonOf(lost), fields)
    const late = new LockTimeoutError('late', { path: '/x', timeout: 5, holders })
    assert.deepEqual(jsonOf(late), {
      ...{ name: 'LockTimeoutError', message: 'late', code: 'ERR_LOCK_TIMEOUT', path: '/x', timeout: 5 },
      holders: [{ pid: 1, mode: 'shared' }],
    })
    assert.equal(late.holders, holders)
  })
})

describe('what the native part tells', () => {
  const { failureError, LockError, LockTimeoutError } = require('../../lib/errors.js')
  const told = (reason, context) => failureError({ reason }, { path: '/x', ...context })

  test('that a path does not answer, or who holds the lock is not known, is a timeout without holders', () => {
    for (const [reason, timeout, message] of [
      ['unanswered', 500, "Couldn't lock /x within 500 ms: the path does not answer"],
      ['unanswered', 0, "Couldn't lock /x: the path does not answer"],
      // Of a question, which has no timeout.
      ['unanswered', undefined, "Couldn't lock /x: the path does not answer"],
      ['timeout', 5, "Couldn't lock /x within 5 ms: it is locked"],
    ]) {
      const error = told(reason, { timeout })
      assert.ok(error instanceof LockTimeoutError)
      assert.deepEqual([error.message, error.timeout, error.holders], [message, timeout ?? 0, undefined])
    }
  })

  test('a lock that is lost is a LockError, and a panic is an error that blames nobody else', () => {
    const lost = told('lost')
    assert.ok(lost instanceof LockError)
    assert.deepEqual([lost.name, lost.code, lost.path], ['LockError', 'ERR_LOCK_LOST', '/x'])
    assert.match(lost.message, /\/x/)
    const { code, message } = told('panicked')
    assert.equal(code, 'ERR_INTERNAL_ASSERTION')
    assert.match(message, /@locket\/native/)
  })
})

describe('ABORT_ERR', () => {
  /** It is what Node itself makes of this signal, and has the path. */
  async function isNodes(error, signal, file) {
    const nodes = await errorOf(() => once(new EventEmitter(), 'never', { signal }))
    assert.ok(error instanceof Error && !(error instanceof LockError))
    const { name, code, message, cause } = error
    assert.deepEqual([name, code, message], ['AbortError', 'ABORT_ERR', nodes.message])
    assert.equal(cause, signal.reason)
    assert.equal(error.path, file)
    const properties = [...Object.getOwnPropertyNames(nodes), 'path']
    assert.deepEqual(Object.getOwnPropertyNames(error).sort(), properties.sort())
    assert.ok(error.stack.startsWith(`AbortError: ${message}\n`), error.stack)
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
        await isNodes(await errorOf(() => call(lock, signal)), signal, lock.path)
        assert.equal(lock.held, false)
      }
      assert.deepEqual(fs.readdirSync(path.dirname(lock.path)), [])
    })
  }

  for (const form of ['acquire', 'run']) {
    for (const [what, reason] of Object.entries(reasons)) {
      test(`${form} rejects when the signal fires while it waits, with ${what} for a reason`, async (t) => {
        const holder = locked(t, temporaryPath(t))
        const controller = new AbortController()
        const wait = forms[form](lockFile(holder.path), controller.signal)
        assert.ok(await staysPending(wait))
        controller.abort(reason)
        await isNodes(await errorOf(() => wait), controller.signal, holder.path)
        assert.equal(holder.held, true)
        holder.release()
        assert.equal(await isFree(holder.path), true)
      })
    }
  }

  test('the reason of a signal that is a timeout is the cause, also when another process holds the lock', async (t) => {
    const file = temporaryPath(t)
    await holderOf(t, file)
    const signal = AbortSignal.timeout(20)
    const error = await errorOf(() => lockFile(file).acquire({ signal, timeout: PATIENCE * 2 }))
    await isNodes(error, signal, file)
    assert.equal(error.cause.name, 'TimeoutError')
  })
})
