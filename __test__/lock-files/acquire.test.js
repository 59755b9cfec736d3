'use strict'

// Several files at once: all or none, whatever their paths and modes.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { inspect } = require('node:util')

const { lockFile, lockFiles, LockTimeoutError, query } = require('../..')
const { temporaryFolder, temporaryPaths } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { holderOf } = require('../support/processes.js')
const { onLinux } = require('../support/systems.js')
const { errorNamingHolders, errorOf, eventually, staysPending, until } = require('../support/waiting.js')
const { filesInOrder, heldPaths, isPending } = require('./files.js')

/** Ways to acquire and to try, which have the same results. */
const WAYS = {
  acquire: { acquire: (locks, ...args) => locks.acquire(...args), tryAcquire: (locks) => locks.tryAcquire() },
  acquireSync: {
    acquire: async (locks, ...args) => locks.acquireSync(...args),
    tryAcquire: async (locks) => locks.tryAcquireSync(),
  },
}

for (const [way, { acquire, tryAcquire }] of Object.entries(WAYS)) {
  test(`${way}: all files are locked, and released together`, async (t) => {
    const files = temporaryPaths(t, 'a', 'b', 'c')
    const locks = lockFiles(files)
    assert.deepEqual(locks.paths, files)
    assert.equal(locks.held, false)
    for (let i = 0; i < 3; i++) {
      assert.equal(await acquire(locks), locks)
      assert.equal(locks.held, true)
      assert.deepEqual(heldPaths().sort(), files)
      for (const file of files) assert.equal(await isFree(file), false)
      locks.release()
      assert.equal(locks.held, false)
      assert.deepEqual(heldPaths(), [])
    }
    assert.throws(() => locks.release(), { name: 'LockError', code: 'ERR_LOCK_NOT_HELD', path: files[0] })
  })

  test(`${way}: a file that is held keeps all others free, at each position`, async (t) => {
    const files = filesInOrder(t, 3)
    for (const order of [files, files.toReversed()]) {
      for (const file of files) {
        const holder = await lockFile(file).acquire()
        const locks = lockFiles(order)
        assert.equal(await tryAcquire(locks), false)
        assert.deepEqual(heldPaths(), [file])
        const error = await errorOf(() => acquire(locks, 0))
        assert.ok(error instanceof LockTimeoutError)
        assert.deepEqual([error.path, error.timeout], [file, 0])
        const late = await errorOf(() => acquire(locks, { timeout: 10 }))
        assert.deepEqual([late.code, late.path, late.timeout], ['ERR_LOCK_TIMEOUT', file, 10])
        assert.match(late.message, new RegExp(`^Couldn't lock ${file} within 10 ms: `))
        assert.deepEqual(heldPaths(), [file])
        assert.deepEqual(query().pending, [])
        holder.release()
        assert.equal(await tryAcquire(locks), true)
        locks.release()
      }
    }
  })

  test(`${way}: an error half-way leaves nothing held`, async (t) => {
    const folder = temporaryFolder(t)
    const [a, b, directory, missing] = ['a', 'b', 'directory', 'missing/c'].map((name) => path.join(folder, name))
    fs.mkdirSync(directory)
    for (const [file, code] of [
      [directory, 'EISDIR'],
      [missing, 'ENOENT'],
    ]) {
      for (const files of [
        [a, b, file],
        [a, file, b],
        [file, a, b],
      ]) {
        const locks = lockFiles(files)
        const error = await errorOf(() => acquire(locks, 1000))
        assert.deepEqual([error.code, error.path], [code, file])
        assert.equal((await errorOf(() => tryAcquire(locks))).code, code)
        assert.equal(locks.held, false)
        assert.deepEqual(heldPaths(), [])
      }
      // Also once the files are waited for.
      const holder = lockFile(a).acquireSync()
      assert.equal((await errorOf(() => acquire(lockFiles([a, b, file]), 1000))).code, code)
      assert.deepEqual(heldPaths(), [a])
      holder.release()
    }
  })

  test(`${way}: a file that is named twice is locked once, in the stricter mode`, async (t) => {
    const [file, other] = filesInOrder(t, 2)
    fs.linkSync(file, `${file}.hard`)
    fs.symlinkSync(file, `${file}.soft`)
    const spellings = [file, `${file}.hard`, `${file}.soft`, path.join(path.dirname(file), '.', path.basename(file))]
    for (const spelling of spellings) {
      for (const modes of [
        ['exclusive', 'shared'],
        ['shared', 'exclusive'],
        ['exclusive', 'exclusive'],
        ['shared', 'shared'],
      ]) {
        const locks = lockFiles([{ path: file, mode: modes[0] }, other, { path: spelling, mode: modes[1] }])
        const isShared = !modes.includes('exclusive')
        for (const take of [tryAcquire, acquire, (locks) => acquire(locks, 0)]) {
          assert.ok(await take(locks))
          assert.equal(locks.held, true)
          assert.equal(await lockFile(file).tryAcquire(), false)
          const reader = lockFile(spelling)
          assert.equal(await reader.tryAcquire({ mode: 'shared' }), isShared)
          reader[Symbol.dispose]()
          locks.release()
          assert.deepEqual(heldPaths(), [])
        }
        // Also where it has to be waited for, in the order of the files.
        const holder = lockFile(spelling).acquireSync()
        assert.equal(await tryAcquire(locks), false)
        assert.equal((await errorOf(() => acquire(locks, 1))).code, 'ERR_LOCK_TIMEOUT')
        assert.equal((await errorOf(() => acquire(locks, 0))).code, 'ERR_LOCK_TIMEOUT')
        assert.deepEqual(heldPaths(), [spelling])
        holder.release()
      }
    }
  })

  test(`${way}: each path has its own mode, or that of the call, or that of the handle`, async (t) => {
    const [own, any] = temporaryPaths(t, 'own', 'any')
    const locks = lockFiles([{ path: own, mode: 'shared' }, any], { mode: 'exclusive' })
    const modes = () => Object.fromEntries(query().held.map(({ path: held, mode }) => [path.basename(held), mode]))
    await acquire(locks)
    assert.deepEqual(modes(), { own: 'shared', any: 'exclusive' })
    locks.release()
    await acquire(locks, { mode: 'shared' })
    assert.deepEqual(modes(), { own: 'shared', any: 'shared' })
    const readers = lockFiles([own, any], { mode: 'shared' })
    assert.equal(await tryAcquire(readers), true)
    assert.equal(await tryAcquire(lockFiles([own, any])), false)
    locks.release()
    readers.release()
  })
}

test('waiters get all files as soon as the last one is free, and hold those before it meanwhile', async (t) => {
  const files = filesInOrder(t, 3)
  for (const [index, file] of files.entries()) {
    const holder = await holderOf(t, file)
    const locks = lockFiles(files.toReversed())
    const wait = locks.acquire()
    await isPending(file)
    assert.deepEqual(heldPaths(), files.slice(0, index))
    assert.ok(await staysPending(wait))
    assert.equal(locks.held, false)
    assert.equal(await holder.ask('release'), 'released')
    assert.equal(await eventually(wait, 'the locks'), locks)
    assert.deepEqual(heldPaths().sort(), files.toSorted())
    locks.release()
  }
})

test('a handle that is tried again after it had to wait tries the files in the order of all others', async (t) => {
  const files = filesInOrder(t, 3)
  const locks = lockFiles(files.toReversed())
  const holder = await lockFile(files[2]).acquire()
  await assert.rejects(locks.acquire(1), { code: 'ERR_LOCK_TIMEOUT' })
  holder.release()
  await locks.acquire()
  assert.deepEqual(heldPaths(), files)
  assert.deepEqual(locks.paths, files.toReversed())
  locks.release()
})

test('a handle holds its files once: a second acquire of it waits for the first, shared locks too', async (t) => {
  const files = temporaryPaths(t, 'a', 'b')
  for (const mode of ['exclusive', 'shared']) {
    const locks = lockFiles(files, { mode })
    const first = await locks.acquire()
    const second = locks.acquire()
    assert.equal(await locks.tryAcquire(), false)
    assert.ok(await staysPending(second))
    first.release()
    await eventually(second, 'the second turn')
    assert.equal(locks.held, true)
    locks.release()
    assert.equal(locks.held, false)
    assert.deepEqual(heldPaths(), [])
  }
})

test('many acquires of one handle at once take turns', async (t) => {
  const files = temporaryPaths(t, 'a', 'b', 'c')
  const locks = lockFiles(files)
  let inside = 0
  const task = async () => {
    assert.equal(++inside, 1)
    await null
    inside--
  }
  await eventually(Promise.all(Array.from({ length: 20 }, () => locks.run(task))), 'all turns')
  assert.equal(locks.held, false)
})

test('a sync wait without end for a file that this thread holds is an error, and leaves nothing held', async (t) => {
  const files = filesInOrder(t, 3)
  for (const file of files) {
    const holder = lockFile(file).acquireSync()
    assert.throws(() => lockFiles(files).acquireSync(), { code: 'ERR_LOCK_DEADLOCK', path: file })
    assert.deepEqual(heldPaths(), [file])
    holder.release()
  }
  const locks = lockFiles(files)
  locks.acquireSync()
  assert.throws(() => locks.acquireSync(), { code: 'ERR_LOCK_DEADLOCK' })
  assert.equal(locks.held, true)
  locks.release()
})

test('an abort ends whatever wait is on, and leaves nothing held', async (t) => {
  const files = filesInOrder(t, 3)
  const reason = new Error('enough')
  await assert.rejects(lockFiles(files).acquire({ signal: AbortSignal.abort(reason) }), { code: 'ABORT_ERR' })
  for (const file of files) {
    const holder = await holderOf(t, file)
    const controller = new AbortController()
    const error = errorOf(() => lockFiles(files).acquire({ signal: controller.signal }))
    await isPending(file)
    controller.abort(reason)
    const { name, code, cause } = await error
    assert.deepEqual({ name, code, cause }, { name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    assert.deepEqual(heldPaths(), [])
    assert.deepEqual(query().pending, [])
    await holder.kill()
  }
})

test('a timeout counts for all files together', async (t) => {
  const files = filesInOrder(t, 2)
  const holders = files.map((file) => lockFile(file).acquireSync())
  const order = []
  const late = (what, locks, timeout) =>
    assert.rejects(locks.acquire(timeout), { code: 'ERR_LOCK_TIMEOUT', timeout }).then(() => order.push(what))
  const waits = [late('both', lockFiles(files), 600), late('longer', lockFile(files[1]), 900)]
  // The whole timeout for the second file as well would end at 1000.
  await late('shorter', lockFile(files[0]), 400)
  holders[0].release()
  await Promise.all(waits)
  assert.deepEqual(order, ['shorter', 'both', 'longer'])
  holders[1].release()
})

test('the error of a timeout names the file that was in the way, and who holds it', onLinux, async (t) => {
  const files = filesInOrder(t, 3)
  const holder = await holderOf(t, files[1])
  for (const timeout of [0, 20]) {
    const error = await errorNamingHolders(() => lockFiles(files).acquire(timeout))
    assert.equal(error.path, files[1])
    assert.deepEqual(
      error.holders.map(({ pid }) => pid),
      [holder.pid],
    )
  }
})

test('isLocked is true if any of the files is locked, and holders names each process once', onLinux, async (t) => {
  const files = filesInOrder(t, 3)
  const locks = lockFiles(files)
  assert.equal(await locks.isLocked(), false)
  assert.deepEqual(await locks.holders(), [])
  const reader = lockFile(files[0]).acquireSync({ mode: 'shared' })
  const other = await holderOf(t, files[1])
  const writer = lockFile(files[2]).acquireSync()
  assert.equal(await locks.isLocked(), true)
  const holders = (await locks.holders()).map(({ pid, mode }) => ({ pid, mode }))
  const expected = [process.pid, other.pid].map((pid) => ({ pid, mode: 'exclusive' }))
  const byPid = (one, another) => one.pid - another.pid
  assert.deepEqual(holders.sort(byPid), expected.sort(byPid))
  reader.release()
  writer.release()
})

test('run holds all files for its task, and releases them however that ends', async (t) => {
  const files = temporaryPaths(t, 'a', 'b')
  const locks = lockFiles(files)
  const result = await locks.run(async (held) => {
    assert.equal(held, locks)
    assert.deepEqual(heldPaths().sort(), files)
    await null
    return 'result'
  }, 1000)
  assert.equal(result, 'result')
  await assert.rejects(
    locks.run(() => {
      throw new Error('on purpose')
    }),
    /on purpose/,
  )
  await locks.run(() => locks.release())
  assert.equal(locks.held, false)
  const { signal } = new AbortController()
  const aborted = Object.defineProperty(signal, 'aborted', { get: () => locks.held })
  await assert.rejects(
    locks.run(() => assert.fail('the task ran'), { signal: aborted }),
    { code: 'ABORT_ERR' },
  )
  assert.deepEqual(heldPaths(), [])
})

test('a task that waits for one of the files which its run holds causes a warning', async (t) => {
  const files = filesInOrder(t, 3)
  const warning = new Promise((resolve) => process.once('warning', resolve))
  await lockFiles(files).run(async () => {
    const wait = assert.rejects(lockFile(files[1]).acquire(1500), { message: /inside run\(\) of the same lock/ })
    assert.equal((await eventually(warning, 'the warning')).code, 'LOCKET_NESTED_RUN')
    await wait
  })
})

test('held is false when one lock is gone, and the others are released there and then', async (t) => {
  const files = temporaryPaths(t, 'a', 'b', 'c')
  const locks = await lockFiles(files).acquire()
  lockFile(files[1]).release()
  assert.equal(locks.held, false)
  assert.deepEqual(heldPaths(), [])
  // So the handle is not in its own way.
  await locks.acquire(1000)
  assert.deepEqual(heldPaths().sort(), files)
  locks.release()
})

test('a lock that was lost is told by release(), also after held has told it', async (t) => {
  const files = temporaryPaths(t, 'a', 'b')
  for (const asks of [false, true]) {
    const locks = await lockFiles(files, { protocol: 'mkdir' }).acquire()
    const { lost } = locks
    fs.rmdirSync(`${files[0]}.lock`)
    await until(() => lost.aborted, 'the loss')
    if (asks) {
      for (let i = 0; i < 2; i++) assert.equal(locks.held, false)
      assert.deepEqual(heldPaths(), [])
      assert.equal(fs.existsSync(`${files[1]}.lock`), false)
    }
    assert.throws(() => locks.release(), { code: 'ERR_LOCK_LOST', path: files[0] })
    assert.deepEqual(heldPaths(), [])
    assert.throws(() => locks.release(), { code: 'ERR_LOCK_NOT_HELD' })
  }
  const task = async (locks) => {
    fs.rmdirSync(`${files[1]}.lock`)
    await until(() => !locks.held, 'the loss')
  }
  await assert.rejects(lockFiles(files, { protocol: 'mkdir' }).run(task), { code: 'ERR_LOCK_LOST', path: files[1] })
  assert.deepEqual(heldPaths(), [])
})

test('disposal releases what the handle holds, and never throws', async (t) => {
  const files = temporaryPaths(t, 'a', 'b')
  const locks = await lockFiles(files).acquire()
  locks[Symbol.dispose]()
  assert.equal(locks.held, false)
  locks[Symbol.dispose]()
  await locks.acquire()
  await locks[Symbol.asyncDispose]()
  await locks[Symbol.asyncDispose]()
  assert.deepEqual(heldPaths(), [])
})

test('one file is enough, and a path may be bytes or a URL', async (t) => {
  const [a, b] = temporaryPaths(t, 'a', 'b')
  const { pathToFileURL } = require('node:url')
  const locks = await lockFiles([Buffer.from(a), { path: pathToFileURL(b) }]).acquire()
  assert.deepEqual(locks.paths, [a, b])
  assert.deepEqual(heldPaths().sort(), [a, b])
  locks.release()
  const one = await lockFiles([a]).acquire()
  assert.equal(await isFree(a), false)
  one.release()
})

test('a handle shows its paths, cannot be cloned, and its methods need it', (t) => {
  const files = temporaryPaths(t, 'a', 'b')
  const locks = lockFiles(files)
  assert.match(inspect(locks), /^FileLocks \{\s+paths: \[.*\],\s+held: false\s*\}$/s)
  assert.throws(() => structuredClone(locks), { name: 'DataCloneError' })
  assert.throws(() => locks.release.call({}), { code: 'ERR_INVALID_THIS' })
  assert.throws(() => locks.paths.push('c'), TypeError)
})
