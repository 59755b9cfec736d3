'use strict'

// A task of run() that waits for the lock which this run() holds: it is not refused, but told.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { ROOT, temporaryPath, temporaryPaths } = require('../support/folders.js')
const { outcomeOf, script } = require('../support/processes.js')
const { errorOf, eventually, until } = require('../support/waiting.js')

/** The code of the warning. */
const NESTED = 'LOCKET_NESTED_RUN'

/** All warnings of this package from now on, until the test ends. */
function warnings(t) {
  const seen = []
  const note = (warning) => warning.code === NESTED && seen.push(warning)
  process.on('warning', note)
  t.after(() => process.off('warning', note))
  return seen
}

test('a wait inside the task of a run that holds the same lock causes one warning, which names file and reason', async (t) => {
  const file = temporaryPath(t)
  const seen = warnings(t)
  const inner = []
  await lockFile(file).run(async (lock) => {
    await null
    // By the same handle and by others, by each form, and from deep inside.
    inner.push(lock.run(() => {}))
    const acquired = lockFile(file).acquire()
    inner.push(acquired.then((held) => held.release()))
    inner.push(Promise.resolve().then(() => lockFile(file, { mode: 'shared' }).run(() => {})))
    await until(() => seen.length > 0, 'the warning')
    const [{ message, name }] = seen
    assert.equal(name, 'LocketWarning')
    assert.ok(message.includes(file), message)
    assert.match(message, /inside run\(\) of the same lock/)
  })
  // They were only told of: when the task has ended, they get in.
  await eventually(Promise.all(inner), 'the inner waits')
  assert.equal(seen.length, 1)
})

test('a wait inside the task of a run around the run is told, too', async (t) => {
  const [a, b] = temporaryPaths(t, 'a', 'b')
  const seen = warnings(t)
  const controller = new AbortController()
  await lockFile(a).run(() =>
    lockFile(b).run(async () => {
      const wait = errorOf(() => lockFile(a).acquire({ signal: controller.signal }))
      await until(() => seen.length > 0, 'the warning')
      assert.ok(seen[0].message.includes(a))
      controller.abort()
      assert.equal((await wait).code, 'ABORT_ERR')
    }),
  )
})

test('a LockTimeoutError of such a wait says it, and that of another wait does not', async (t) => {
  const file = temporaryPath(t)
  const reason = /; it was waited for inside run\(\) of the same lock$/
  const messageOf = async (call) => (await errorOf(call)).message
  const acquire = () => lockFile(file).acquire(5)
  let end
  const run = lockFile(file).run(async () => {
    for (const call of [acquire, () => lockFile(file).run(() => {}, 5), async () => lockFile(file).acquireSync(5)]) {
      assert.match(await messageOf(call), reason)
    }
    await new Promise((resolve) => {
      end = resolve
    })
  })
  await until(() => end !== undefined, 'the task')
  assert.doesNotMatch(await messageOf(acquire), reason)
  end()
  await run
  const holder = await lockFile(file).acquire()
  assert.doesNotMatch(await messageOf(acquire), reason)
  holder.release()
})

test('a wait that is not the task’s own for the lock of its run causes no warning', async (t) => {
  // In a process of its own, whose warnings are all its own, and each longer than a warning takes.
  const source = `
    const long = (ms = 1300) => new Promise((resolve) => setTimeout(resolve, ms))
    process.on('warning', (warning) => { console.log(warning.code); process.exit(1) })
    const scenes = {
      async anotherFile(file) {
        const holder = lockFile(file + '.other').acquireSync()
        let wait
        await lockFile(file).run(async () => {
          wait = lockFile(file + '.other').run(() => {})
          await long()
        })
        holder.release()
        await wait
      },
      async afterTheTaskHasReleased(file) {
        let wait
        await lockFile(file).run(async (lock) => {
          lock.release()
          const next = lockFile(file).acquireSync()
          wait = lockFile(file).run(() => {})
          await long()
          next.release()
        })
        await wait
      },
      async besideTheRun(file) {
        const run = lockFile(file).run(() => long())
        await Promise.all([run, lockFile(file).run(() => {})])
      },
      async begunInARunThatHasEnded(file) {
        let later
        await lockFile(file).run(() => { later = long(1).then(() => lockFile(file).run(() => {})) })
        await lockFile(file).run(() => long())
        await later
      },
    }
    const all = Object.entries(scenes).map(([name, scene]) => scene(process.argv[1] + name))
    Promise.all(all).then(() => console.log('quiet'))`
  assert.deepEqual(await script(t, source, [temporaryPath(t)]).rest(), ['quiet'])
})

test('such a wait keeps no process alive for the warning, and the warning comes though timers are replaced', async (t) => {
  const file = temporaryPath(t)
  const replaced = `
    globalThis.setTimeout = () => { throw new Error('replaced') }
    process.on('warning', ({ code }) => { console.log(code); process.exit() })
    lockFile(process.argv[1]).run((lock) => lock.run(() => {}))`
  assert.deepEqual(await script(t, replaced, [file]).rest(), [NESTED])

  // A wait that has ended has no timer left: the process ends by itself, within less than its second.
  const quick = `
    process.on('warning', ({ code }) => console.log(code))
    let inner
    const outer = lockFile(process.argv[1]).run((lock) => { inner = lock.run(() => {}) })
    outer.then(() => inner).then(() => console.log('done'))`
  assert.deepEqual(await script(t, quick, [file]).rest(), ['done'])
})

/** What a Node prints, as JSON, that is started with `flag` and runs `source` for two files. */
function printed(t, flag, source) {
  const head = `const { lockFile } = require(${JSON.stringify(ROOT)})\nconst [file, other] = process.argv.slice(1)`
  const args = [flag, '-e', `${head}\n${source}`, ...temporaryPaths(t, 'a', 'b')]
  const { stdout, stderr } = outcomeOf(process.execPath, args)
  return JSON.parse(stdout || JSON.stringify(stderr))
}

test('no hook is left enabled when no run is under way', (t) => {
  // An enabled hook makes all promises of a process slower, in Node 20 and 22.
  const source = `
    const { getHookArrays } = require('internal/async_hooks')
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
  assert.deepEqual(printed(t, '--expose-internals', source), [0, 0, 0, 0, 0])
})

test('runs that start the next one without awaiting it do not pile up', (t) => {
  // By two files in turn: each run begins while the one before is under way, and goes on when that has ended.
  const source = `
    const locks = [lockFile(file), lockFile(other)]
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
  const [, second, third] = printed(t, '--expose-gc', source)
  // A chain would have grown by 20,000 objects of some 60 bytes at least.
  assert.ok(third - second < 20_000 * 20, `${third - second} bytes more after 20,000 runs more`)
})
