'use strict'

// A task of run() that waits for the lock which this run() holds: it is not refused, but told.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('..')
const { errorOf, eventually, outcomeOf, script, temporaryFolder, temporaryPath } = require('./support.js')

/** The code of the warning. */
const NESTED = 'LOCKET_NESTED_RUN'

/** All warnings of this package from now on, until the test ends; `next()` is the next one. */
function warnings(t) {
  const seen = []
  let arrived
  const note = (warning) => {
    if (warning.code !== NESTED) return
    seen.push(warning)
    arrived?.()
  }
  process.on('warning', note)
  t.after(() => process.off('warning', note))
  const next = () =>
    eventually(
      new Promise((resolve) => {
        arrived = resolve
        if (seen.length > 0) resolve()
      }),
      'the warning',
    ).then(() => seen.at(-1))
  return { seen, next }
}

test('a wait inside the task of a run that holds the same lock causes one warning, which names file and reason', async (t) => {
  const file = temporaryPath(t)
  const { seen, next } = warnings(t)
  const inner = []
  await lockFile(file).run(async (lock) => {
    await null
    // By the same handle and by others, by each form, and from deep inside.
    inner.push(lock.run(() => {}))
    inner.push(
      lockFile(file)
        .acquire()
        .then((held) => held.release()),
    )
    inner.push(Promise.resolve().then(() => lockFile(file, { mode: 'shared' }).run(() => {})))
    const { message, name } = await next()
    assert.equal(name, 'LocketWarning')
    assert.ok(message.includes(file), message)
    assert.match(message, /inside run\(\) of the same lock/)
  })
  // They were only told of: when the task has ended, they get in.
  await eventually(Promise.all(inner), 'the inner waits')
  assert.equal(seen.length, 1)
})

test('a wait inside the task of a run around the run is told, too', async (t) => {
  const folder = temporaryFolder(t)
  const [a, b] = ['a', 'b'].map((name) => path.join(folder, name))
  const { next } = warnings(t)
  const controller = new AbortController()
  await lockFile(a).run(() =>
    lockFile(b).run(async () => {
      const wait = errorOf(() => lockFile(a).acquire({ signal: controller.signal }))
      assert.ok((await next()).message.includes(a))
      controller.abort()
      assert.equal((await wait).code, 'ABORT_ERR')
    }),
  )
})

test('a LockTimeoutError of such a wait says it, and that of another wait does not', async (t) => {
  const file = temporaryPath(t)
  const reason = /; it was waited for inside run\(\) of the same lock$/
  let begin
  const begun = new Promise((resolve) => {
    begin = resolve
  })
  let end
  const run = lockFile(file).run(async () => {
    assert.match((await errorOf(() => lockFile(file).acquire(5))).message, reason)
    assert.match((await errorOf(() => lockFile(file).run(() => {}, 5))).message, reason)
    assert.match((await errorOf(async () => lockFile(file).acquireSync(5))).message, reason)
    begin()
    await new Promise((resolve) => {
      end = resolve
    })
  })
  await begun
  assert.doesNotMatch((await errorOf(() => lockFile(file).acquire(5))).message, reason)
  end()
  await run

  const holder = await lockFile(file).acquire()
  assert.doesNotMatch((await errorOf(() => lockFile(file).acquire(5))).message, reason)
  holder.release()
})

test('a wait that is not the task’s own for the lock of its run causes no warning', async (t) => {
  const folder = temporaryFolder(t)
  // In a process of its own, whose warnings are all its own.
  const source = `
    const assert = require('node:assert')
    const [file, other] = process.argv.slice(1)
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
    process.on('warning', (warning) => { console.log(warning.code); process.exit(1) })
    const main = async () => {
      // Of another file, which somebody else holds.
      const holder = lockFile(other).acquireSync()
      const waits = []
      await lockFile(file).run(async () => {
        waits.push(lockFile(other).run(() => {}))
        await wait(1300)
      })
      holder.release()
      await Promise.all(waits.splice(0))
      // After the task has released the lock itself, and another holds it.
      await lockFile(file).run(async (lock) => {
        lock.release()
        const next = lockFile(file).acquireSync()
        waits.push(lockFile(file).run(() => {}))
        await wait(1300)
        next.release()
      })
      await Promise.all(waits.splice(0))
      // Beside the run, not inside it.
      let inside
      const run = lockFile(file).run(() => new Promise((resolve) => { inside = resolve }))
      const beside = lockFile(file).run(() => {})
      await wait(1300)
      inside()
      await Promise.all([run, beside])
      // Begun in a run that has ended, of a lock that is held by another one.
      let later
      await lockFile(file).run(() => { later = wait(1).then(() => lockFile(file).run(() => {})) })
      await lockFile(file).run(() => wait(1300))
      await later
      console.log('quiet')
    }
    main()`
  const child = script(
    t,
    source,
    ['a', 'b'].map((name) => path.join(folder, name)),
  )
  assert.deepEqual(await child.rest(), ['quiet'])
})

test('such a wait keeps no process alive for the warning, and the warning comes though timers are replaced', async (t) => {
  const file = temporaryPath(t)
  const child = script(
    t,
    `globalThis.setTimeout = () => { throw new Error('replaced') }
     process.on('warning', ({ code }) => { console.log(code); process.exit() })
     lockFile(process.argv[1]).run((lock) => lock.run(() => {}))`,
    [file],
  )
  assert.deepEqual(await child.rest(), [NESTED])

  // A wait that has ended has no timer left: the process ends by itself, within less than its second.
  const quick = script(
    t,
    `process.on('warning', ({ code }) => console.log(code))
     let inner
     lockFile(process.argv[1]).run((lock) => { inner = lock.run(() => {}) }).then(() => inner).then(() => console.log('done'))`,
    [file],
  )
  assert.deepEqual(await quick.rest(), ['done'])
})

test('no hook is left enabled when no run is under way', (t) => {
  // An enabled hook makes all promises of a process slower, in Node 20 and 22.
  const source = `
    const { getHookArrays } = require('internal/async_hooks')
    const { lockFile } = require(${JSON.stringify(path.dirname(__dirname))})
    const [file, other] = process.argv.slice(1)
    const seen = []
    const look = () => seen.push(getHookArrays()[0].length)
    const main = async () => {
      look()
      await lockFile(file).run(async () => {})
      look()
      await lockFile(file).run(() => { throw 5 }).catch(() => {})
      look()
      // Of two that overlap, the last one leaves it.
      await Promise.all([lockFile(file).run(() => lockFile(other).run(() => {})), lockFile(other).run(() => {})])
      look()
      await lockFile(file).run(() => {}, { signal: AbortSignal.abort() }).catch(() => {})
      look()
      console.log(JSON.stringify(seen))
    }
    main()`
  const folder = temporaryFolder(t)
  const files = ['a', 'b'].map((name) => path.join(folder, name))
  const { stdout, stderr } = outcomeOf(process.execPath, ['--expose-internals', '-e', source, ...files])
  assert.deepEqual(JSON.parse(stdout || JSON.stringify(stderr)), [0, 0, 0, 0, 0])
})

test('runs that start the next one without awaiting it do not pile up', (t) => {
  // By two files in turn: each run begins while the one before is under way, and goes on when that has ended.
  const source = `
    const { lockFile } = require(${JSON.stringify(path.dirname(__dirname))})
    const locks = process.argv.slice(1).map((file) => lockFile(file))
    const heaps = []
    let count = 0
    const next = async () => {
      if (++count % 20_000 === 0) {
        gc()
        heaps.push(process.memoryUsage().heapUsed)
      }
      if (count === 60_000) return console.log(JSON.stringify(heaps))
      locks[count % 2].run(next)
      await null
    }
    locks[0].run(next)`
  const folder = temporaryFolder(t)
  const files = ['a', 'b'].map((name) => path.join(folder, name))
  const { stdout, stderr } = outcomeOf(process.execPath, ['--expose-gc', '-e', source, ...files])
  const [, second, third] = JSON.parse(stdout || JSON.stringify(stderr))
  // A chain would have grown by 20,000 objects of some 60 bytes at least.
  assert.ok(third - second < 20_000 * 20, `${third - second} bytes more after 20,000 runs more`)
})
