'use strict'

// ERR_LOCK_DEADLOCK: a synchronous wait that could never end.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { lockFile } = require('..')
const { eventually, isFree, script, staysPending, TELL, temporaryPath, until } = require('./support.js')

const HOME = path.dirname(__dirname)
const onLinux = { skip: process.platform !== 'linux' && 'only Linux tells who is in line' }

/** `file`, locked by a handle that is released when the test ends. */
function locked(t, file, options) {
  const holder = lockFile(file).acquireSync(options)
  t.after(() => holder[Symbol.dispose]())
  return holder
}

/** Waits until a child waits in the kernel, for a lock of this kind: then the wait is at the head of its process's queue. */
function inKernelsLine(child, kind) {
  const inLine = new RegExp(`-> FLOCK +ADVISORY +${kind} +${child.pid} `)
  return until(() => inLine.test(fs.readFileSync('/proc/locks', 'utf8')), 'the wait of the child')
}

// In processes of their own: where the deadlock is not seen, the thread is blocked for good.
describe('ERR_LOCK_DEADLOCK', () => {
  test('is for a sync wait without end for what this thread holds', async (t) => {
    const file = temporaryPath(t)
    const child = script(
      t,
      `${TELL}
      const { LockError, LockTimeoutError } = require(process.argv[1])
      const lock = lockFile(process.argv[2]).acquireSync()
      try {
        lock.acquireSync()
      } catch (error) {
        tell([describe(error), error instanceof LockError, error instanceof LockTimeoutError, lock.held])
      }
      lock.release()
      tell(codeOf(() => lock.acquireSync()))`,
      [HOME, file],
    )
    const [{ message, ...error }, isLockError, isTimeout, held] = JSON.parse(await child.line())
    assert.deepEqual(error, { name: 'LockError', code: 'ERR_LOCK_DEADLOCK', path: file })
    assert.ok(message.includes(file), message)
    assert.deepEqual([isLockError, isTimeout, held], [true, false, true])
    assert.equal(JSON.parse(await child.line()), 'no error')
  })

  test('sees through other handles and spellings, and how the lock was acquired', async (t) => {
    const file = temporaryPath(t)
    const folder = path.dirname(file)
    fs.writeFileSync(file, '')
    const spellings = [file, path.join(folder, 'hard.lock'), `${folder}/./${path.basename(file)}`]
    fs.linkSync(file, spellings[1])
    if (process.platform !== 'win32') {
      spellings.push(path.join(folder, 'soft.lock'))
      fs.symlinkSync(file, spellings[3])
    }
    const child = script(
      t,
      `${TELL}
      const [file, ...spellings] = process.argv.slice(1)
      const tries = () => tell(spellings.flatMap((spelling) =>
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
      work()`,
      [file, ...spellings],
    )
    const expected = spellings.flatMap(() => Array(3).fill('ERR_LOCK_DEADLOCK'))
    for (let way = 0; way < 3; way++) assert.deepEqual(JSON.parse(await child.line()), expected)
    await child.kill()
    assert.equal(await isFree(file), true)
  })

  test('is for a shared lock of this thread only if one waits for the exclusive lock, or on the same handle', async (t) => {
    const child = script(
      t,
      `${TELL}
      const [one, other] = [lockFile(process.argv[1]), lockFile(process.argv[1])]
      one.acquireSync({ mode: 'shared' })
      tell([
        codeOf(() => other.acquireSync()),
        codeOf(() => other.acquireSync({ mode: 'shared' })),
        codeOf(() => one.acquireSync({ mode: 'shared' })),
      ])`,
      [temporaryPath(t)],
    )
    assert.deepEqual(JSON.parse(await child.line()), ['ERR_LOCK_DEADLOCK', 'no error', 'ERR_LOCK_DEADLOCK'])
  })

  test('is for a sync wait behind a wait of this thread, when another process holds the lock', onLinux, async (t) => {
    const file = temporaryPath(t)
    const alias = path.join(path.dirname(file), 'alias.lock')
    const holder = locked(t, file)
    fs.symlinkSync(file, alias)
    const child = script(
      t,
      `${TELL}
      const [file, alias] = process.argv.slice(1)
      const lock = lockFile(file)
      lock.acquire().then(() => { tell('acquired'); process.exit() })
      tell('waiting')
      process.stdin.once('data', () =>
        tell([lock, lockFile(file), lockFile(alias)].map((lock) => codeOf(() => lock.acquireSync()))))`,
      [file, alias],
    )
    assert.equal(JSON.parse(await child.line()), 'waiting')
    await inKernelsLine(child, 'WRITE')
    assert.deepEqual(JSON.parse(await child.ask('go')), Array(3).fill('ERR_LOCK_DEADLOCK'))
    holder.release()
    assert.equal(JSON.parse(await child.line()), 'acquired')
  })

  test(
    'is not for a shared sync wait behind shared waits of this thread: they are let in together',
    onLinux,
    async (t) => {
      const file = temporaryPath(t)
      const holder = locked(t, file)
      const child = script(
        t,
        `${TELL}
      const shared = () => lockFile(process.argv[1], { mode: 'shared' })
      shared().acquire()
      tell('waiting')
      process.stdin.once('data', () => {
        fs.writeSync(1, '"blocked"\\n')
        tell(codeOf(() => shared().acquireSync()))
      })`,
        [file],
      )
      assert.equal(JSON.parse(await child.line()), 'waiting')
      await inKernelsLine(child, 'READ')
      assert.equal(JSON.parse(await child.ask('go')), 'blocked')
      const acquired = child.line()
      assert.ok(await staysPending(acquired, 50))
      holder.release()
      assert.equal(JSON.parse(await acquired), 'no error')
    },
  )

  test('or the lock comes: a sync wait straight after an async one never hangs', async (t) => {
    const child = script(
      t,
      `${TELL}
      const [one, other] = [lockFile(process.argv[1]), lockFile(process.argv[1])]
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
      work()`,
      [temporaryPath(t)],
    )
    for (const code of JSON.parse(await child.line())) assert.match(code, /^(no error|ERR_LOCK_DEADLOCK)$/)
  })

  test('is not for a wait with an end: that one times out', async (t) => {
    const child = script(
      t,
      `${TELL}
      const file = process.argv[1]
      const lock = lockFile(file).acquireSync()
      const start = performance.now()
      tell([
        codeOf(() => lock.acquireSync({ timeout: 20 })),
        codeOf(() => lockFile(file, { timeout: 20 }).acquireSync()),
        performance.now() - start >= 40,
        codeOf(() => lock.acquireSync({ timeout: 0 })),
        lockFile(file).tryAcquireSync(),
      ])`,
      [temporaryPath(t)],
    )
    const late = 'ERR_LOCK_TIMEOUT'
    assert.deepEqual(JSON.parse(await child.line()), [late, late, true, late, false])
  })

  test('is not for what another thread holds: that may be released', async (t) => {
    const holder = locked(t, temporaryPath(t))
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads')
      const { lockFile } = require(workerData.home)
      parentPort.postMessage('waiting')
      try {
        const lock = lockFile(workerData.file).acquireSync()
        parentPort.postMessage('acquired')
        lock.release()
      } catch (error) {
        parentPort.postMessage(error.code)
      }`,
      { eval: true, workerData: { home: HOME, file: holder.path } },
    )
    t.after(() => worker.terminate())
    const messages = []
    worker.on('message', (message) => messages.push(message))
    const ended = once(worker, 'exit')
    await until(() => messages.length > 0, 'the thread')
    assert.ok(await staysPending(ended))
    assert.deepEqual(messages, ['waiting'])
    holder.release()
    await eventually(ended, 'the end of the thread')
    assert.deepEqual(messages, ['waiting', 'acquired'])
  })

  test('is not for what another process holds', async (t) => {
    const holder = locked(t, temporaryPath(t))
    const child = script(
      t,
      `${TELL}
      tell('waiting')
      tell(codeOf(() => lockFile(process.argv[1]).acquireSync()))`,
      [holder.path],
    )
    assert.equal(JSON.parse(await child.line()), 'waiting')
    const next = child.line()
    assert.ok(await staysPending(next))
    holder.release()
    assert.equal(JSON.parse(await next), 'no error')
  })
})
