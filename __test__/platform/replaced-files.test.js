'use strict'

// The file is deleted or replaced while somebody holds its lock or waits for it.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { allQueued } = require('../support/locks.js')
const { agent, holderOf } = require('../support/processes.js')
const { eventually, staysPending } = require('../support/waiting.js')

test('a waiter whose file was deleted meanwhile gets the one that its path names then', async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const wait = lockFile(file).acquire()
  assert.ok(await staysPending(wait))
  fs.rmSync(file)
  assert.ok(await staysPending(wait))
  assert.equal(await holder.ask('release'), 'released')
  const lock = await eventually(wait, 'the lock')
  // Not of the deleted file, on which nobody else could ever see it.
  assert.ok(fs.existsSync(file))
  assert.equal(await holder.ask('try'), 'false')
  lock.release()
})

test('a waiter whose file was replaced meanwhile waits for the new one, within its deadline', async (t) => {
  const file = temporaryPath(t)
  const second = agent(t, file)
  const first = await holderOf(t, file)
  const wait = lockFile(file).acquire()
  // Heard from the beginning: a busy machine may take longer for the steps.
  const bounded = assert.rejects(lockFile(file).acquire({ timeout: 200 }), { code: 'ERR_LOCK_TIMEOUT', timeout: 200 })
  await allQueued(file)
  fs.rmSync(file)
  assert.equal(await second.ask('try'), 'true')
  assert.equal(await first.ask('release'), 'released')
  await bounded
  assert.ok(await staysPending(wait))
  assert.equal(await second.ask('release'), 'released')
  ;(await eventually(wait, 'the lock')).release()
})

test('a request that comes when the file has been replaced does not wait for the old one, as those before do', async (t) => {
  const file = temporaryPath(t)
  const old = lockFile(file)
  await old.acquire()
  const waits = Array.from({ length: 3 }, () => lockFile(file).acquire())
  await allQueued(file)
  fs.renameSync(file, `${file}.old`)
  const lock = await eventually(lockFile(file).acquire(), 'the lock of the new file')
  assert.ok(await staysPending(Promise.race(waits)))
  old.release()
  lock.release()
  for (const wait of waits) (await eventually(wait, 'the lock of the new file')).release()
})

test('a hand-over within the process looks at the path too', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const order = []
  const waits = [1, 2, 3].map((i) =>
    lockFile(file).run(() => {
      order.push(i)
      assert.ok(fs.existsSync(file))
    }),
  )
  await allQueued(file)
  const { ino } = fs.statSync(file)
  fs.renameSync(file, `${file}.old`)
  fs.writeFileSync(file, '')
  assert.notEqual(fs.statSync(file).ino, ino)
  const newcomer = agent(t, file)
  assert.equal(await newcomer.ask('try'), 'true', 'the path names a new file, which nobody has locked')
  holder.release()
  assert.ok(await staysPending(waits[0]), 'let in beside the holder of the file that the path names')
  assert.equal(await newcomer.ask('release'), 'released')
  await Promise.all(waits)
  assert.deepEqual(order, [1, 2, 3])
})

test('a lock whose file was deleted can still be released by another handle of the path', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  await lock.acquire()
  fs.rmSync(file)
  lockFile(file).release()
  assert.equal(lock.held, false)
  assert.equal(fs.existsSync(file), false)
})
