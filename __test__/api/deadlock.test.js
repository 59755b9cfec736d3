'use strict'

// ERR_LOCK_DEADLOCK: a synchronous wait that could never end.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../..')
const { ROOT, temporaryPath } = require('../support/folders.js')
const { waitsInKernel } = require('../support/kernel.js')
const { isFree, locked } = require('../support/locks.js')
const { agent, script, TELL } = require('../support/processes.js')
const { onLinux, WINDOWS } = require('../support/systems.js')
const { Thread } = require('../support/threads.js')
const { staysPending } = require('../support/waiting.js')

/** A process that runs `source` for a lock file; `told()` is the next value that it tells. */
function child(t, source, [file = temporaryPath(t), ...others] = []) {
  const it = script(t, `${TELL}\nconst file = process.argv[1]\n${source}`, [file, ...others])
  return Object.assign(it, { told: async () => JSON.parse(await it.line()) })
}

// In processes of their own: where the deadlock is not seen, the thread is blocked for good.
describe('ERR_LOCK_DEADLOCK', () => {
  test('is for a sync wait without end for what this thread holds', async (t) => {
    const file = temporaryPath(t)
    const source = `
      const { LockError, LockTimeoutError } = require(process.argv[2])
      const lock = lockFile(file).acquireSync()
      try {
        lock.acquireSync()
      } catch (error) {
        tell([describe(error), error instanceof LockError, error instanceof LockTimeoutError, lock.held])
      }
      lock.release()
      tell(codeOf(() => lock.acquireSync()))`
    const it = child(t, source, [file, ROOT])
    const [{ message, ...error }, isLockError, isTimeout, held] = await it.told()
    assert.deepEqual(error, { name: 'LockError', code: 'ERR_LOCK_DEADLOCK', path: file })
    assert.ok(message.includes(file), message)
    assert.deepEqual([isLockError, isTimeout, held], [true, false, true])
    assert.equal(await it.told(), 'no error')
  })

  test('sees through other handles and spellings, and how the lock was acquired', async (t) => {
    const file = temporaryPath(t)
    const folder = path.dirname(file)
    fs.writeFileSync(file, '')
    const spellings = [file, path.join(folder, 'hard.lock'), `${folder}/./${path.basename(file)}`]
    fs.linkSync(file, spellings[1])
    if (!WINDOWS) fs.symlinkSync(file, spellings[spellings.push(path.join(folder, 'soft.lock')) - 1])
    const source = `
      const tries = () => tell(process.argv.slice(2).flatMap((spelling) =>
        [{}, { timeout: Infinity }, { mode: 'shared' }].map((options) =>
          codeOf(() => lockFile(spelling).acquireSync(options)))))
      const work = async () => {
        const lock = lockFile(file).acquireSync()
        tries()
        lock.release()
        await lock.acquire()
        tries()
        lock.release()
        await lock.run(tries)
      }
      work()`
    const it = child(t, source, [file, ...spellings])
    const expected = spellings.flatMap(() => Array(3).fill('ERR_LOCK_DEADLOCK'))
    for (let way = 0; way < 3; way++) assert.deepEqual(await it.told(), expected)
    await it.kill()
    assert.equal(await isFree(file), true)
  })

  test('is for a shared lock of this thread only if one waits for the exclusive lock, or on the same handle', async (t) => {
    const source = `
      const [one, other] = [lockFile(file), lockFile(file)]
      one.acquireSync({ mode: 'shared' })
      tell([
        codeOf(() => other.acquireSync()),
        codeOf(() => other.acquireSync({ mode: 'shared' })),
        codeOf(() => one.acquireSync({ mode: 'shared' })),
      ])`
    assert.deepEqual(await child(t, source).told(), ['ERR_LOCK_DEADLOCK', 'no error', 'ERR_LOCK_DEADLOCK'])
  })

  test('is for a sync wait behind a wait of this thread, when another process holds the lock', onLinux, async (t) => {
    const file = temporaryPath(t)
    const alias = path.join(path.dirname(file), 'alias.lock')
    const holder = locked(t, file)
    fs.symlinkSync(file, alias)
    const source = `
      const lock = lockFile(file)
      lock.acquire().then(() => { tell('acquired'); process.exit() })
      process.stdin.once('data', () =>
        tell([lock, lockFile(file), lockFile(process.argv[2])].map((lock) => codeOf(() => lock.acquireSync()))))`
    const it = child(t, source, [file, alias])
    await waitsInKernel(it, 'WRITE')
    it.say('go')
    assert.deepEqual(await it.told(), Array(3).fill('ERR_LOCK_DEADLOCK'))
    holder.release()
    assert.equal(await it.told(), 'acquired')
  })

  test('is not for a shared sync wait behind shared waits: they are let in together', onLinux, async (t) => {
    const file = temporaryPath(t)
    const holder = locked(t, file)
    const source = `
      const shared = () => lockFile(file, { mode: 'shared' })
      shared().acquire()
      process.stdin.once('data', () => {
        tell('blocked')
        tell(codeOf(() => shared().acquireSync()))
      })`
    const it = child(t, source, [file])
    await waitsInKernel(it, 'READ')
    it.say('go')
    assert.equal(await it.told(), 'blocked')
    const acquired = it.told()
    assert.ok(await staysPending(acquired, 50))
    holder.release()
    assert.equal(await acquired, 'no error')
  })

  test('or the lock comes: a sync wait straight after an async one never hangs', async (t) => {
    const source = `
      const [one, other] = [lockFile(file), lockFile(file)]
      const work = async () => {
        const seen = new Set()
        for (let round = 0; round < 200; round++) {
          const ahead = one.acquire()
          const code = codeOf(() => other.acquireSync())
          seen.add(code)
          if (code === 'no error') other.release()
          await ahead
          one.release()
        }
        tell([...seen])
      }
      work()`
    for (const code of await child(t, source).told()) assert.match(code, /^(no error|ERR_LOCK_DEADLOCK)$/)
  })

  test('is not for a wait with an end: that one times out', async (t) => {
    const source = `
      const lock = lockFile(file).acquireSync()
      const start = performance.now()
      tell([
        codeOf(() => lock.acquireSync({ timeout: 20 })),
        codeOf(() => lockFile(file, { timeout: 20 }).acquireSync()),
        performance.now() - start >= 40,
        codeOf(() => lock.acquireSync({ timeout: 0 })),
        lockFile(file).tryAcquireSync(),
      ])`
    const late = 'ERR_LOCK_TIMEOUT'
    assert.deepEqual(await child(t, source).told(), [late, late, true, late, false])
  })

  test('is not for what another thread or another process holds: that may be released', async (t) => {
    const file = temporaryPath(t)
    const thread = new Thread(t, file)
    const other = agent(t, file)
    const waits = [
      () => thread.ask('acquireSync').then(() => thread.answer()),
      async () => {
        assert.equal(await other.ask('held'), 'false')
        return other.ask('sync')
      },
    ]
    for (const wait of waits) {
      const holder = await lockFile(file).acquire()
      const acquired = wait()
      assert.ok(await staysPending(acquired, 50))
      holder.release()
      assert.equal(await acquired, 'acquired')
      await thread.ask('dispose')
    }
  })
})
