'use strict'

// The options that say how a lock is kept, and what a protocol cannot do.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { inspect } = require('node:util')

const { lockFile, LockError, LockTimeoutError } = require('../..')
const { nameHolders } = require('../../lib/errors.js')
const { temporaryPath } = require('../support/folders.js')
const { errorOf, eventually } = require('../support/waiting.js')
const { FORMS, outcomeOf } = require('./forms.js')

const BY_EXISTENCE = ['proper-lockfile', 'lockfile', 'soft-file', 'link', 'mkdir', 'symlink', 'pid-file', 'dotlock']
const PROTOCOLS = ['flock', 'fcntl', ...BY_EXISTENCE]
const TIMED = ['proper-lockfile', 'lockfile']

/** The path of a lock whose file is there, as some protocols want it. */
function pathFor(t, protocol) {
  const file = temporaryPath(t)
  if (protocol === 'proper-lockfile') fs.writeFileSync(file, '')
  return file
}

describe('the option protocol', () => {
  test('takes the name of each protocol', () => {
    for (const protocol of PROTOCOLS) assert.equal(lockFile('x', { protocol }).held, false)
  })

  test('refuses other values, and lists the protocols', () => {
    for (const protocol of ['lockf', '', 'FLOCK', 'toString', 'constructor']) {
      assert.throws(() => lockFile('x', { protocol }), {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
        message: `The argument 'options.protocol' must be one of: ${PROTOCOLS.map((name) => `'${name}'`).join(', ')}. Received '${protocol}'`,
      })
    }
    for (const protocol of [null, 5, true, ['mkdir'], {}, Symbol('mkdir')]) {
      assert.throws(() => lockFile('x', { protocol }), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.protocol/ })
    }
  })
})

describe('the options stale and update', () => {
  test('are of the protocols whose holders renew their entry, and refused by the others', () => {
    for (const protocol of [undefined, ...PROTOCOLS]) {
      for (const options of [{ stale: 10_000 }, { update: 1000 }, { stale: 4000, update: 2000 }]) {
        const call = () => lockFile('x', { protocol, ...options })
        if (TIMED.includes(protocol)) {
          assert.equal(call().held, false)
        } else {
          const message = new RegExp(`'options\\.\\w+' is not an option of the protocol '${protocol ?? 'flock'}'`)
          assert.throws(call, { code: 'ERR_INVALID_ARG_VALUE', message })
        }
      }
    }
  })

  /** Values by protocol: good ones, those that are too small or too large, with what is said of them. */
  const VALUES = [
    ['proper-lockfile', 'stale', [2000, 2000.5, 2 ** 31 - 1], [1999, 0, -1, NaN, Infinity], '>= 2000 && <= 2147483647'],
    ['proper-lockfile', 'update', [1000, 5000], [999, 5001, NaN, Infinity, -1000], '>= 1000 && <= 5000'],
    ['lockfile', 'stale', [100, 1e6], [99, 0, NaN, Infinity], '>= 100 && <= 2147483647'],
    ['lockfile', 'update', [50, 1e6], [49, 0, NaN, Infinity], '>= 50 && <= 2147483647'],
  ]

  for (const [protocol, name, good, bad, range] of VALUES) {
    test(`${name} of ${protocol} has a range: ${range}`, () => {
      for (const value of good) assert.equal(lockFile('x', { protocol, [name]: value }).held, false)
      for (const value of bad) {
        assert.throws(() => lockFile('x', { protocol, [name]: value }), {
          name: 'RangeError',
          code: 'ERR_OUT_OF_RANGE',
          message: `The value of "options.${name}" is out of range. It must be ${range}. Received ${inspect(value)}`,
        })
      }
      for (const value of ['5000', null, true, {}, 5000n]) {
        const expected = { code: 'ERR_INVALID_ARG_TYPE', message: new RegExp(`options\\.${name}`) }
        assert.throws(() => lockFile('x', { protocol, [name]: value }), expected)
      }
    })
  }

  test('update is at most half of stale', () => {
    for (const protocol of TIMED) {
      assert.equal(lockFile('x', { protocol, stale: 3000, update: 1500 }).held, false)
      assert.throws(() => lockFile('x', { protocol, stale: 3000, update: 1501 }), { message: /<= 1500\./ })
    }
  })
})

test('removeOnRelease and allowDirectory are refused by protocols that lock by existence', () => {
  for (const protocol of PROTOCOLS) {
    for (const name of ['removeOnRelease', 'allowDirectory']) {
      const call = () => lockFile('x', { protocol, [name]: true })
      if (BY_EXISTENCE.includes(protocol)) {
        const message = `The argument 'options.${name}' is not an option of the protocol '${protocol}'. Received true`
        assert.throws(call, { code: 'ERR_INVALID_ARG_VALUE', message })
      } else {
        assert.equal(call().held, false)
      }
      assert.equal(lockFile('x', { protocol, [name]: false }).held, false)
    }
  }
})

for (const [form, { call, sync = false }] of Object.entries(FORMS)) {
  test(`${form} of a shared lock by existence is refused before anything happens`, async (t) => {
    for (const protocol of BY_EXISTENCE) {
      const file = temporaryPath(t)
      const cases = [
        [lockFile(file, { protocol }), { mode: 'shared' }],
        [lockFile(file, { protocol, mode: 'shared' }), undefined],
      ]
      for (const [lock, options] of cases) {
        const { error, thrown } = await outcomeOf(() => call(lock, options))
        assert.ok(error instanceof LockError)
        assert.deepEqual([error.code, error.path, thrown], ['ERR_LOCK_UNSUPPORTED', file, sync])
        assert.equal(error.message, `cannot share ${file}: the protocol '${protocol}' has no shared locks`)
      }
      assert.deepEqual(fs.readdirSync(path.dirname(file)), [])
    }
  })
}

test('a handle whose mode is shared can lock exclusively by existence', async (t) => {
  for (const protocol of BY_EXISTENCE) {
    const lock = lockFile(pathFor(t, protocol), { protocol, mode: 'shared' })
    await lock.acquire({ mode: 'exclusive' })
    assert.equal(lock.held, true)
    lock.release()
  }
})

test('breakLock() is refused for the locks of the kernel', async (t) => {
  for (const protocol of [undefined, 'flock', 'fcntl']) {
    const lock = lockFile(temporaryPath(t), { protocol })
    const error = await errorOf(() => lock.breakLock())
    assert.ok(error instanceof LockError)
    assert.deepEqual([error.code, error.path, 'cause' in error], ['ERR_LOCK_UNSUPPORTED', lock.path, false])
    assert.equal(fs.existsSync(lock.path), false)
  }
})

test('a wait by one protocol, inside run() by another of the same path, is not taken for a wait for itself', async (t) => {
  const file = pathFor(t, 'proper-lockfile')
  const protocols = ['flock', 'proper-lockfile', 'link']
  for (const outer of protocols) {
    // 'link' and 'proper-lockfile' have the same lock entry, by whatever kind it is.
    for (const inner of protocols.filter((each) => each !== outer && [each, outer].includes('flock'))) {
      await lockFile(file, { protocol: outer }).run(async () => {
        await lockFile(file, { protocol: inner }).run(() => {}, 0)
      })
    }
  }
  const holder = await lockFile(file, { protocol: 'mkdir' }).acquire()
  const error = await lockFile(file).run(() => errorOf(() => lockFile(file, { protocol: 'mkdir' }).acquire(1)))
  assert.doesNotMatch(error.message, /inside run\(\)/)
  holder.release()
  const nested = await lockFile(file, { protocol: 'mkdir' }).run(() =>
    errorOf(() => lockFile(file, { protocol: 'mkdir' }).acquire(1)),
  )
  assert.match(nested.message, /inside run\(\) of the same lock/)
})

test('a timeout says of a lock entry that nobody holds and that cannot be taken over how to remove it', async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  fs.mkdirSync(`${file}.lock`)
  fs.writeFileSync(path.join(`${file}.lock`, 'something'), '')
  fs.utimesSync(`${file}.lock`, 1, 1)
  const lock = lockFile(file, { protocol: 'proper-lockfile' })
  const error = await errorOf(() => lock.acquire(0))
  assert.match(error.message, /: its lock entry seems to be left behind, .*breakLock\(\)/)
  assert.deepEqual(error.holders, [])
  assert.equal(await lock.breakLock(), true)
  await lock.acquire(0)
  lock.release()
})

test('messages name the host of a holder that is on another one', () => {
  const holders = [
    { pid: 4242, mode: 'exclusive', host: 'otherhost' },
    { pid: 4243, mode: 'exclusive', command: '/usr/bin/node deploy.js' },
    { pid: 4244, mode: 'exclusive', host: 'h'.repeat(253) },
  ]
  const long = `${'h'.repeat(59)}…`
  assert.equal(nameHolders(holders), `held by 4242 on otherhost, 4243 (node deploy.js), 4244 on ${long}`)
})

for (const protocol of BY_EXISTENCE) {
  describe(`lost, by ${protocol}`, () => {
    /** A held lock, and its entry. */
    async function held(t) {
      const lock = lockFile(pathFor(t, protocol), { protocol })
      await lock.acquire()
      const before = protocol === 'proper-lockfile' ? [path.basename(lock.path)] : []
      const folder = path.dirname(lock.path)
      const entries = fs.readdirSync(folder).filter((name) => !before.includes(name))
      assert.equal(entries.length, 1, String(entries))
      return { lock, entry: path.join(folder, entries[0]) }
    }

    const remove = (entry) => fs.rmSync(entry, { recursive: true })

    test('the signal fires as soon as the entry is gone', async (t) => {
      const { lock, entry } = await held(t)
      const { lost } = lock
      assert.equal(lost.aborted, false)
      const fired = new Promise((resolve) => lost.addEventListener('abort', resolve, { once: true }))
      remove(entry)
      await eventually(fired, 'the loss')
      assert.ok(lost.reason instanceof LockError)
      assert.deepEqual([lost.reason.code, lost.reason.path], ['ERR_LOCK_LOST', lock.path])
      assert.match(lost.reason.message, /its lock entry was removed or replaced, or .* closed the descriptor/)
      assert.equal(lock.held, false)
      assert.equal(lock.lost, lost)
      assert.throws(() => lock.release(), { code: 'ERR_LOCK_LOST', path: lock.path })
      assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
      // The next acquisition has a signal of its own.
      await lock.acquire(1000)
      assert.equal(lock.lost.aborted, false)
      lock.release()
    })

    test('the signal fires although nothing refers to the handle', { skip: !globalThis.gc }, async (t) => {
      const { entry, fired } = await (async () => {
        const { lock, entry } = await held(t)
        return { entry, fired: new Promise((resolve) => lock.lost.addEventListener('abort', resolve)) }
      })()
      globalThis.gc()
      remove(entry)
      await eventually(fired, 'the loss')
    })

    test('of several that are lost at once, each is told, though the first is released at once', async (t) => {
      const several = await Promise.all(Array.from({ length: 5 }, () => held(t)))
      const told = several.map(({ lock }) => {
        const release = () => assert.throws(() => lock.release(), { code: 'ERR_LOCK_LOST' })
        return new Promise((resolve) => lock.lost.addEventListener('abort', () => resolve(release())))
      })
      for (const { entry } of several) remove(entry)
      await eventually(Promise.all(told), 'all losses')
    })

    test('run() rejects after its task', async (t) => {
      const file = pathFor(t, protocol)
      const lock = lockFile(file, { protocol })
      let done = false
      const run = lock.run(async () => {
        const [entry] = fs
          .readdirSync(path.dirname(file))
          .filter((name) => name !== path.basename(file) || protocol !== 'proper-lockfile')
        const fired = new Promise((resolve) => lock.lost.addEventListener('abort', resolve))
        remove(path.join(path.dirname(file), entry))
        await eventually(fired, 'the loss')
        done = true
      })
      assert.equal((await errorOf(() => run)).code, 'ERR_LOCK_LOST')
      assert.equal(done, true)
      assert.equal(lock.held, false)
    })

    test('disposal reports nothing, and leaves alone what another has put there', async (t) => {
      const { lock, entry } = await held(t)
      remove(entry)
      fs.writeFileSync(entry, '')
      lock[Symbol.dispose]()
      assert.equal(lock.held, false)
      assert.equal(fs.readFileSync(entry, 'utf8'), '')
    })

    test('breakLock() says whether there was a lock, whoever held it, and its holder loses it', async (t) => {
      const { lock, entry } = await held(t)
      const other = lockFile(lock.path, { protocol })
      const fired = new Promise((resolve) => lock.lost.addEventListener('abort', resolve))
      assert.equal(await other.breakLock(), true)
      assert.equal(fs.existsSync(entry), false)
      await eventually(fired, 'the loss')
      assert.equal(lock.held, false)
      assert.equal(await other.breakLock(), false)
      await other.acquire(1000)
      other.release()
    })

    test('a release of what another handle holds says whose it is', async (t) => {
      const { lock } = await held(t)
      const other = lockFile(lock.path, { protocol })
      assert.equal(await other.tryAcquire(), false)
      const message = new RegExp(`^cannot release unlocked lock .*: it is held by ${process.pid}\\b`)
      assert.throws(() => other.release(), { code: 'ERR_LOCK_NOT_HELD', message })
      assert.equal(lock.held, true)
      lock.release()
      assert.throws(() => other.release(), {
        code: 'ERR_LOCK_NOT_HELD',
        message: `cannot release unlocked lock ${lock.path}`,
      })
    })

    test('a timeout names the holder', async (t) => {
      const { lock } = await held(t)
      const error = await errorOf(() => lockFile(lock.path, { protocol }).acquire(0))
      assert.ok(error instanceof LockTimeoutError)
      assert.match(error.message, new RegExp(`held by ${process.pid}\\b.*, which is this process$`))
      lock.release()
    })
  })
}
