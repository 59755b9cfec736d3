'use strict'

// Paths that do not answer, as on a dead mount, keep nobody else waiting, and no try without end. Leases stand for them.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const { lockFile, query } = require('../..')
const { temporaryPath, temporaryPaths } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { leaseOn } = require('../support/leases.js')
const { script } = require('../support/processes.js')
const { errorOf, eventually, staysPending } = require('../support/waiting.js')

/** A test with a file that nobody can open until `end()`, and `lessee`, who says "wanted" when somebody wants to. */
const withLease = (name, body, prepare = () => {}) =>
  test(name, async (t) => {
    const file = temporaryPath(t)
    fs.writeFileSync(file, '')
    const lock = lockFile(file)
    await prepare(lock)
    const lessee = await leaseOn(t, [file])
    if (!lessee) return
    await body(lock, lessee, () => lessee.say('give it up'))
  })

withLease('a try ends though its path does not answer, and says so', async ({ path: file }, _, end) => {
  const calls = {
    'tryAcquire()': () => lockFile(file).tryAcquire(),
    'acquire(0)': () => lockFile(file).acquire(0),
  }
  for (const [name, call] of Object.entries(calls)) {
    const error = await errorOf(call)
    assert.equal(error.code, 'ERR_LOCK_TIMEOUT', name)
    assert.match(error.message, /the path does not answer$/, name)
    assert.equal(error.holders, undefined, name)
  }
  assert.deepEqual(query().pending, [])
  end()
  await eventually(lockFile(file).acquire(), 'the lock').then((lock) => lock.release())
  // Those who have been told so hold nothing when the path answers.
  for (let i = 0; i < 10; i++) assert.equal(await isFree(file), true)
})

withLease('a wait whose time is over ends although its path does not answer, and says so', async (lock) => {
  const error = await errorOf(() => lock.acquire(50))
  assert.equal(error.code, 'ERR_LOCK_TIMEOUT')
  assert.equal(error.message, `Couldn't lock ${lock.path} within 50 ms: the path does not answer`)
})

withLease('an abort of a try whose path does not answer is heard at once', async (lock) => {
  const controller = new AbortController()
  const error = errorOf(() => lock.tryAcquire({ signal: controller.signal }))
  controller.abort()
  assert.equal((await error).code, 'ABORT_ERR')
})

withLease('a try is answered by the lock, not by the time, where the path answers', async (lock, _, end) => {
  const attempt = lock.tryAcquire().catch((error) => error.code)
  end()
  // Either the lease was given up in time, or not.
  const result = await eventually(attempt, 'an answer')
  assert.ok(result === true || result === 'ERR_LOCK_TIMEOUT', String(result))
  if (lock.held) lock.release()
})

for (const [how, prepare] of Object.entries({
  'that was never opened': () => {},
  'whose lock was acquired often': async (lock) => {
    for (let i = 0; i < 40; i++) await lock.run(() => {})
  },
})) {
  withLease(
    `a file ${how} is waited for until another program has given up its lease on it`,
    async (lock, lessee, end) => {
      const wait = lock.acquire()
      assert.equal(await lessee.line(), 'wanted')
      assert.ok(await staysPending(wait))
      const late = lockFile(lock.path).acquire({ timeout: 20 })
      await assert.rejects(eventually(late, 'the timeout'), { code: 'ERR_LOCK_TIMEOUT' })
      end()
      await eventually(wait, 'the lock')
      assert.equal(await isFree(lock.path), false)
      lock.release()
    },
    prepare,
  )
}

test('a lease of readers is not broken by a lock, nor by a question', async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  const lessee = await leaseOn(t, [file], 'F_RDLCK')
  if (!lessee) return
  const lock = lockFile(file)
  await lock.run(() => {})
  lock.acquireSync().release()
  await lock.isLocked()
  // The next line is said when somebody opens the file for writing, and not before.
  const wanted = lessee.line()
  assert.ok(await staysPending(wanted))
  const writer = script(t, "require('fs').openSync(process.argv[1], 'r+')", [file])
  assert.equal(await wanted, 'wanted')
  lessee.say('give it up')
  await writer.ended()
})

/** More than the threads that the package may have. */
const TOO_MANY = 520

/** A process that has been asked to lock so many files whose paths do not answer, and one that it holds, and runs `source`. */
async function processWithStuck(t, count, source) {
  const [file, held, ...stuck] = temporaryPaths(
    t,
    ...['free', 'held', ...Array.from({ length: count }, (_, i) => `stuck-${i}`)],
  )
  if (!(await leaseOn(t, stuck))) return undefined
  const head = `
    const [file, held, ...stuck] = process.argv.slice(1)
    lockFile(held).acquireSync()
    for (const each of stuck) lockFile(each).acquire().catch(() => {})`
  return script(t, head + source, [file, held, ...stuck])
}

for (const count of [1, 2, 3, 40]) {
  test(`a free file is locked while ${count} paths do not answer`, async (t) => {
    const it = await processWithStuck(t, count, `\nlockFile(file).acquire().then(() => console.log('acquired'))`)
    if (it) assert.equal(await it.line(), 'acquired')
  })
}

test('a lock is handed over within the process while three paths do not answer', async (t) => {
  const source = `
    lockFile(file).run(async () => {
      for (let i = 0; i < 100; i++) lockFile(file).run(() => console.log(i))
    })`
  const it = await processWithStuck(t, 3, source)
  if (!it) return
  for (let i = 0; i < 100; i++) assert.equal(await it.line(), String(i))
})

test('timeouts and aborts end waits for a held file though more paths do not answer than there may be threads', async (t) => {
  const source = `
    const fs = require('fs')
    const isWorker = (task) => fs.readFileSync('/proc/self/task/' + task + '/comm', 'utf8').startsWith('locket-worker')
    const full = async () => {
      while (fs.readdirSync('/proc/self/task').filter(isWorker).length < 512) await new Promise((resolve) => setTimeout(resolve, 10))
      await lockFile(held).acquire({ timeout: 50 }).catch((error) => console.log(error.code))
      const controller = new AbortController()
      const wait = lockFile(held).acquire({ signal: controller.signal })
      setTimeout(() => controller.abort(), 50)
      await wait.catch((error) => console.log(error.name))
      process.exit(0)
    }
    full()`
  const it = await processWithStuck(t, TOO_MANY, source)
  if (!it) return
  assert.equal(await it.line(), 'ERR_LOCK_TIMEOUT')
  assert.equal(await it.line(), 'AbortError')
})
