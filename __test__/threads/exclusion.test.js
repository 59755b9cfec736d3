'use strict'

// Worker threads of one process exclude each other, and so do two copies of the package.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { ROOT, temporaryFolder, temporaryPath, temporaryPaths } = require('../support/folders.js')
const { GOOD_END, run } = require('../support/processes.js')
const { Thread } = require('../support/threads.js')
const { eventually } = require('../support/waiting.js')

test('one thread at a time has the lock, whichever way it is acquired', async (t) => {
  const THREADS = 4
  const TURNS = 100
  const [file, counter] = temporaryPaths(t, 'test.lock', 'counter')
  fs.writeFileSync(counter, '0')
  const parts = await Promise.all(
    Array.from({ length: THREADS }, async (_, i) => {
      const intervals = new BigInt64Array(new SharedArrayBuffer(TURNS * 2 * BigInt64Array.BYTES_PER_ELEMENT))
      assert.equal(await new Thread(t, file).ask('count', { counter, intervals, sync: i === 0 }), undefined)
      return intervals
    }),
  )
  assert.equal(fs.readFileSync(counter, 'utf8'), String(THREADS * TURNS))
  const intervals = parts.flatMap((part) => Array.from({ length: TURNS }, (_, i) => part.subarray(2 * i, 2 * i + 2)))
  intervals.sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [i, [start, end]] of intervals.entries()) {
    assert.ok(start > 0n && start <= end)
    if (i > 0) assert.ok(intervals[i - 1][1] <= start, `hold ${i} began before the one before it had ended`)
  }
})

test('threads are served in the order in which they came', async (t) => {
  const file = temporaryPath(t)
  const threads = Array.from({ length: 4 }, () => new Thread(t, file))
  const main = threads.length
  const order = [2, 0, 3, main, 1, 1, main, 3, 0, 2, main, 0, 1, 2, 3]
  const turns = new Int32Array(new SharedArrayBuffer((order.length + 1) * Int32Array.BYTES_PER_ELEMENT))
  const take = (name) => {
    turns[Atomics.add(turns, 0, 1) + 1] = name
  }
  const lock = await lockFile(file).acquire()
  const mine = []
  for (const name of order) {
    if (name === main) {
      mine.push(lockFile(file).run(() => take(name)))
      await lock.isLocked()
    } else {
      assert.equal(await threads[name].ask('takeTurn', { turns, name }), 'waiting')
    }
  }
  assert.equal(turns[0], 0)
  lock.release()
  await eventually(Promise.all(mine), 'the turns of the main thread')
  for (const name of order) if (name !== main) assert.equal(await threads[name].answer(), 'done')
  assert.deepEqual([...turns.subarray(1)], order)
})

test('two copies of the package in one process exclude each other, and both can wait', async (t) => {
  const folder = temporaryFolder(t)
  const copy = path.join(folder, 'copy')
  const file = path.join(folder, 'test.lock')
  const addons = fs.readdirSync(ROOT).filter((name) => name.endsWith('.node'))
  assert.notEqual(addons.length, 0)
  for (const name of ['dist', 'package.json', ...addons]) {
    fs.cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true })
  }
  const child = run(t, require.resolve('./two-copies.js'), [copy, file])
  assert.equal(await child.line(), 'free')
  const lock = await lockFile(file).acquire()
  assert.equal(await child.ask('locked'), 'waiting')
  lock.release()
  assert.equal(await child.line(), 'done')
  assert.deepEqual(await child.ended(), GOOD_END)
})
