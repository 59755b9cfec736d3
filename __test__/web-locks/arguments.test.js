'use strict'

// The arguments of a LockManager: how they are converted, what is refused, and in which order.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { pathToFileURL } = require('node:url')
const util = require('node:util')

const { LockManager } = require('../..')
const { temporaryFolder } = require('../support/folders.js')
const { newFolder, newManager, rejection, rejectsWith } = require('./locks.js')

const never = () => assert.fail('the callback was called')

describe('the folder', () => {
  test('is checked at once, as the path of a lock file is', () => {
    for (const folder of [undefined, null, 5, {}, [], true]) {
      const message = /^The "folder" argument must be of type string or an instance of Buffer or URL\./
      assert.throws(() => new LockManager(folder), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message })
    }
    for (const folder of ['', 'a\0b']) assert.throws(() => new LockManager(folder), { code: 'ERR_INVALID_ARG_VALUE' })
    assert.throws(() => LockManager('/tmp'), TypeError)
  })

  test('may be a string, bytes or a URL, relative or with a slash at its end; nothing is made before a request', async (t) => {
    const parent = temporaryFolder(t)
    const relative = path.relative(process.cwd(), path.join(parent, 'relative'))
    const forms = [
      path.join(parent, 'string'),
      Buffer.from(path.join(parent, 'bytes')),
      pathToFileURL(path.join(parent, 'url')),
      relative,
      path.join(parent, 'slash', path.sep),
    ]
    const managers = forms.map((folder) => new LockManager(folder))
    assert.deepEqual(fs.readdirSync(parent), [])
    for (const [i, manager] of managers.entries()) {
      assert.equal(await manager.request('a', () => fs.readdirSync(parent).length), i + 1)
    }
    for (const name of fs.readdirSync(parent)) assert.deepEqual(fs.readdirSync(path.join(parent, name)), [])
  })

  test('is what printing a manager shows, and a manager cannot be cloned', (t) => {
    const folder = newFolder(t)
    const manager = new LockManager(folder)
    assert.equal(util.inspect(manager), `LockManager { folder: '${folder}' }`)
    assert.equal(String(manager), '[object LockManager]')
    assert.throws(() => structuredClone(manager), { name: 'DataCloneError' })
    assert.equal(typeof util.inspect(Object.create(manager)), 'string')
  })
})

describe('request()', () => {
  test('gives the callback a lock that shows its name and mode, and can be made by nobody else', async (t) => {
    const manager = newManager(t)
    await manager.request('a', { mode: 'shared' }, (lock) => {
      assert.equal(util.inspect(lock), "Lock { name: 'a', mode: 'shared' }")
      assert.equal(typeof util.inspect(Object.getPrototypeOf(lock)), 'string')
      assert.throws(() => new lock.constructor(), TypeError)
    })
  })

  test('converts the name to a string', async (t) => {
    const manager = newManager(t)
    const names = [5, null, undefined, { toString: () => 'object' }, true]
    for (const name of names) assert.equal(await manager.request(name, (lock) => lock.name), String(name))
    assert.equal((await rejection(manager.request(Symbol('name'), never))).name, 'TypeError')
  })

  test('takes a callback last, and nothing else instead', async (t) => {
    const manager = newManager(t)
    assert.equal(manager.request.length, 2)
    for (const args of [
      [],
      ['a'],
      ['a', undefined],
      ['a', null],
      ['a', {}],
      ['a', {}, undefined],
      ['a', () => {}, {}],
    ]) {
      const error = await rejection(manager.request(...args))
      assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_INVALID_ARG_TYPE'])
    }
    for (const options of [undefined, null, {}, [], () => {}]) {
      assert.equal(await manager.request('a', options, (lock) => lock.mode), 'exclusive')
    }
  })

  test('refuses options of another type', async (t) => {
    const manager = newManager(t)
    const invalid = [
      ...[5, 'shared', true, Symbol('s')].map((options) => [options, 'TypeError']),
      ...['write', null, 5, {}].map((mode) => [{ mode }, 'TypeError']),
      [{ mode: Symbol('shared') }, 'TypeError'],
      ...['x', null, 5, {}, () => {}, globalThis].map((signal) => [{ signal }, 'TypeError']),
      ...['5', null, {}].map((timeout) => [{ timeout }, 'TypeError']),
      ...[-1, Number.NaN].map((timeout) => [{ timeout }, 'RangeError']),
    ]
    for (const [options, name] of invalid) {
      assert.equal((await rejection(manager.request('a', options, never))).name, name, util.inspect(options))
    }
  })

  test('converts options as Web IDL does, those of a class too, and knows no others', async (t) => {
    const manager = newManager(t)
    const mode = { toString: () => 'shared' }
    assert.equal(await manager.request('a', { mode }, (lock) => lock.mode), 'shared')
    class Options {
      get mode() {
        return 'shared'
      }
    }
    assert.equal(await manager.request('a', new Options(), (lock) => lock.mode), 'shared')
    const unset = { mode: undefined, ifAvailable: undefined, steal: undefined, signal: undefined, timeout: undefined }
    assert.equal(await manager.request('a', { ...unset, other: 1 }, (lock) => lock.mode), 'exclusive')
    // Whatever is true: no wait.
    await manager.request('a', () => manager.request('a', { ifAvailable: 'no' }, (lock) => assert.equal(lock, null)))
  })

  test('converts one after the other: the name, the options by the alphabet, the callback', async (t) => {
    const manager = newManager(t)
    const seen = []
    const note = (name, value) => {
      seen.push(name)
      return value
    }
    const options = {
      get timeout() {
        return note('timeout', 5)
      },
      get steal() {
        return note('steal', false)
      },
      get signal() {
        return note('signal', undefined)
      },
      get mode() {
        return note('mode', { toString: () => note('mode as a string', 'shared') })
      },
      get ifAvailable() {
        return note('ifAvailable', false)
      },
    }
    const error = await rejection(manager.request({ toString: () => note('name', '-') }, options, 'no function'))
    assert.equal(error.name, 'TypeError')
    assert.deepEqual(seen, ['name', 'ifAvailable', 'mode', 'mode as a string', 'signal', 'steal', 'timeout'])
  })

  test('refuses what the standard does not support, in its order', async (t) => {
    const manager = newManager(t)
    const { signal } = new AbortController()
    const refused = [
      ['-', {}, /begin with '-'/],
      ['-a', { steal: true, ifAvailable: true }, /begin with '-'/],
      ['a', { steal: true, ifAvailable: true, mode: 'shared', signal }, /exclude each other/],
      ['a', { steal: true, mode: 'shared', signal: AbortSignal.abort() }, /for exclusive locks/],
      ['a', { steal: true, signal: AbortSignal.abort() }, /'signal' ends a wait/],
      ['a', { ifAvailable: true, signal }, /'signal' ends a wait/],
      ['a', { ifAvailable: true, timeout: 5 }, /'timeout' limits a wait/],
      ['a', { steal: true, timeout: Infinity }, /'timeout' limits a wait/],
    ]
    for (const [name, options, message] of refused) {
      assert.match((await rejectsWith(manager.request(name, options, never), 'NotSupportedError')).message, message)
    }
    // A signal that has fired comes last.
    const reason = { name: 'mine' }
    assert.equal(await rejection(manager.request('a', { signal: AbortSignal.abort(reason) }, never)), reason)
    assert.equal(await manager.request('a-', (lock) => lock.name), 'a-')
  })

  test('and query() are rejected on another object', async (t) => {
    const { request, query } = newManager(t)
    for (const call of [() => request('a', never), () => query(), () => request.call({}, 'a', never)]) {
      assert.equal((await rejection(call())).code, 'ERR_INVALID_THIS')
    }
  })

  test('touches nothing if it is refused', async (t) => {
    const folder = newFolder(t)
    const manager = new LockManager(folder)
    await rejection(manager.request('-', never))
    await rejection(manager.request('a', { mode: 'write' }, never))
    await rejection(manager.request('a', { signal: AbortSignal.abort() }, never))
    assert.deepEqual(await manager.query(), { held: [], pending: [] })
    assert.equal(fs.existsSync(folder), false)
  })
})
