'use strict'

// A free lock whose file is known and in memory is granted without the way over another thread.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('..')
const {
  agent,
  eventually,
  script,
  settlesAtOnce,
  staysPending,
  temporaryFolder,
  temporaryPath,
} = require('./support.js')

/** ext4, XFS, btrfs, F2FS, tmpfs: see src/core/sys/unix/cached.rs. */
const LOCAL = [0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x01021994]

/** A handle that has been used often, with nobody else, in a folder where it can be granted at once. Skips elsewhere. */
async function usedHandle(t) {
  const file = temporaryPath(t)
  const isLocal = process.platform === 'linux' && LOCAL.includes(fs.statfsSync(path.dirname(file)).type)
  if (!isLocal) {
    t.skip('only Linux, on a file system of this machine, can tell what is in memory')
    return undefined
  }
  const lock = lockFile(file)
  for (let i = 0; i < 40; i++) {
    await lock.acquire()
    lock.release()
  }
  return lock
}

describe('a free lock that its handle has had often, and nobody else wanted', () => {
  test('is granted at once', async (t) => {
    const lock = await usedHandle(t)
    if (!lock) return
    // Not each time, for sure: whoever moves a folder just then disturbs the kernel's look.
    let soonest = false
    for (let round = 0; round < 20 && !soonest; round++) {
      const acquired = lock.acquire()
      soonest = await settlesAtOnce(acquired)
      assert.equal(await eventually(acquired, 'the lock'), lock)
      assert.equal(lock.held, true)
      assert.equal(await lockFile(lock.path).tryAcquire(), false)
      lock.release()
    }
    assert.ok(soonest)
  })

  test('is refused at once when another process has it', async (t) => {
    const lock = await usedHandle(t)
    if (!lock) return
    const other = agent(t, lock.path)
    assert.equal(await other.ask('try'), 'true')
    assert.equal(await lock.tryAcquire(), false)
    const wait = lock.acquire()
    assert.ok(await staysPending(wait))
    assert.equal(await other.ask('release'), 'released')
    ;(await eventually(wait, 'the lock')).release()
  })

  test('is not granted before those who wait', async (t) => {
    const lock = await usedHandle(t)
    if (!lock) return
    const order = []
    const other = agent(t, lock.path)
    assert.equal(await other.ask('try'), 'true')
    const first = lockFile(lock.path).run(() => order.push('first'))
    const second = lock.run(() => order.push('second'))
    assert.equal(await other.ask('release'), 'released')
    await eventually(Promise.all([first, second]), 'both locks')
    assert.deepEqual(order, ['first', 'second'])
  })

  test('is created again when its file has been deleted', async (t) => {
    const lock = await usedHandle(t)
    if (!lock) return
    fs.rmSync(lock.path)
    await lock.acquire()
    assert.ok(fs.existsSync(lock.path))
    lock.release()
  })

  test('is that of another file system when its path leads there now', async (t) => {
    const lock = await usedHandle(t)
    if (!lock) return
    const elsewhere = fs.existsSync('/dev/shm') ? temporaryFolder(t, '/dev/shm') : temporaryFolder(t)
    const file = path.join(elsewhere, 'test.lock')
    fs.writeFileSync(file, '')
    fs.rmSync(lock.path)
    fs.symlinkSync(file, lock.path)
    await lock.acquire()
    assert.equal(await lockFile(file).tryAcquire(), false)
    lock.release()
  })
})

test('a loop that acquires and releases lets timers and other events have their turn', async (t) => {
  const child = script(
    t,
    `
    const lock = lockFile(process.argv[1])
    let over = false
    setTimeout(() => { over = true }, 50)
    const loop = async () => {
      while (!over) { await lock.acquire(); lock.release() }
      console.log('over')
    }
    loop()
    `,
    [temporaryPath(t)],
  )
  assert.equal(await child.line(), 'over')
})
