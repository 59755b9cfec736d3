'use strict'

// A free lock that was released a moment ago is granted without the way over another thread.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { holderOf, script } = require('../support/processes.js')
const { keepsWarm } = require('../support/systems.js')
const { eventually, settlesAtOnce, staysPending } = require('../support/waiting.js')

/** A test with a handle that has been used often, with nobody else, in a folder where it can be granted at once. */
const withUsedHandle = (name, body) =>
  test(name, async (t) => {
    const file = temporaryPath(t)
    if (!keepsWarm(path.dirname(file))) return t.skip('only on Linux, on a file system of this machine')
    const lock = lockFile(file)
    for (let i = 0; i < 40; i++) await lock.run(() => {})
    await body(t, lock)
  })

describe('a free lock that its handle has often acquired, and nobody else wanted', () => {
  withUsedHandle('is granted at once', async (_, lock) => {
    // Not each time, for sure: on a busy machine it may be too long ago.
    let soonest = false
    for (let round = 0; round < 20 && !soonest; round++) {
      const acquired = lock.acquire()
      soonest = await settlesAtOnce(acquired)
      assert.equal(await eventually(acquired, 'the lock'), lock)
      assert.equal(lock.held, true)
      assert.equal(await isFree(lock.path), false)
      lock.release()
    }
    assert.ok(soonest)
  })

  withUsedHandle(
    'is refused at once when another process has it, and not granted before those who wait',
    async (t, lock) => {
      const other = await holderOf(t, lock.path)
      assert.equal(await lock.tryAcquire(), false)
      const order = []
      const first = lockFile(lock.path).run(() => order.push('first'))
      const second = lock.run(() => order.push('second'))
      assert.ok(await staysPending(Promise.race([first, second])))
      assert.equal(await other.ask('release'), 'released')
      await eventually(Promise.all([first, second]), 'both locks')
      assert.deepEqual(order, ['first', 'second'])
    },
  )

  withUsedHandle('is created again when its file has been deleted', async (_, lock) => {
    fs.rmSync(lock.path)
    await lock.acquire()
    assert.ok(fs.existsSync(lock.path))
    lock.release()
  })

  withUsedHandle('is that of another file system when its path leads there now', async (t, lock) => {
    const elsewhere = fs.existsSync('/dev/shm') ? temporaryFolder(t, '/dev/shm') : temporaryFolder(t)
    const file = path.join(elsewhere, 'test.lock')
    fs.writeFileSync(file, '')
    fs.rmSync(lock.path)
    fs.symlinkSync(file, lock.path)
    await lock.acquire()
    assert.equal(await isFree(file), false)
    lock.release()
  })
})

test('a loop that acquires and releases lets timers and other events have their turn', async (t) => {
  const source = `
    const lock = lockFile(process.argv[1])
    let over = false
    setTimeout(() => { over = true }, 50)
    const loop = async () => {
      while (!over) { await lock.acquire(); lock.release() }
      console.log('over')
    }
    loop()`
  assert.equal(await script(t, source, [temporaryPath(t)]).line(), 'over')
})
