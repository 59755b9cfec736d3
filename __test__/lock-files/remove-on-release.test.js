'use strict'

// removeOnRelease for several files: none is left, whether all were acquired or not.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile, lockFiles } = require('../..')
const { temporaryPaths } = require('../support/folders.js')
const { holderOf } = require('../support/processes.js')
const { errorOf, eventually, staysPending } = require('../support/waiting.js')
const { heldPaths, isPending } = require('./files.js')

test('with removeOnRelease no file is left, whether all were acquired or not', async (t) => {
  const files = temporaryPaths(t, 'a', 'b', 'c')
  const left = () => files.filter((file) => fs.existsSync(file))
  const locks = lockFiles(files, { removeOnRelease: true })
  await locks.acquire()
  locks.release()
  assert.deepEqual(left(), [])
  const holder = await holderOf(t, files[1])
  assert.equal(await locks.tryAcquire(), false)
  assert.deepEqual(left(), [files[1]])
  const first = fs.openSync(files[0], 'wx')
  t.after(() => fs.closeSync(first))
  const wait = locks.acquire()
  await isPending(files[1])
  // It stayed when it was given back: otherwise the numbers would change all the time, and nothing would ever be waited for.
  assert.equal(fs.fstatSync(first).nlink, 1)
  assert.ok(await staysPending(wait))
  assert.equal(await holder.ask('release'), 'released')
  await eventually(wait, 'the locks')
  locks.release()
  assert.deepEqual(left(), [])
})

test('with removeOnRelease no file is left by a wait that fails, and no lock, wherever its file is in the order', async (t) => {
  const ENDS = {
    'a timeout': [(locks) => locks.acquire(20), 'ERR_LOCK_TIMEOUT'],
    'a timeout of acquireSync': [async (locks) => locks.acquireSync(20), 'ERR_LOCK_TIMEOUT'],
    'a timeout of run': [(locks) => locks.run(() => assert.fail('the task ran'), 20), 'ERR_LOCK_TIMEOUT'],
    'a signal': [
      async (locks, file) => {
        const controller = new AbortController()
        const wait = locks.acquire({ signal: controller.signal })
        await isPending(file)
        controller.abort()
        return wait
      },
      'ABORT_ERR',
    ],
  }
  const files = temporaryPaths(t, ...Array.from({ length: 6 }, (_, i) => `${i}.lock`))
  const holder = await holderOf(t, files[3])
  for (const [what, [end, code]] of Object.entries(ENDS)) {
    for (const order of [files, files.toReversed()]) {
      assert.equal((await errorOf(() => end(lockFiles(order, { removeOnRelease: true }), files[3]))).code, code, what)
      assert.deepEqual(fs.readdirSync(path.dirname(files[0])), ['3.lock'], what)
      assert.deepEqual(heldPaths(), [], what)
    }
  }
  // Nor is one made anew that is named twice.
  const both = [{ path: files[0], mode: 'shared' }, files[1], files[0], files[3]]
  assert.equal(await lockFiles(both, { removeOnRelease: true }).tryAcquire(), false)
  assert.equal(lockFiles(both, { removeOnRelease: true }).tryAcquireSync(), false)
  assert.deepEqual(fs.readdirSync(path.dirname(files[0])), ['3.lock'])
  // One that others use stays theirs.
  const user = await lockFile(files[0]).acquire()
  await assert.rejects(lockFiles(files, { removeOnRelease: true }).acquire(20), { code: 'ERR_LOCK_TIMEOUT' })
  assert.deepEqual(fs.readdirSync(path.dirname(files[0])), ['0.lock', '3.lock'])
  assert.equal(user.held, true)
  user.release()
  holder.end()
})

test('files that the last holder has removed are made anew, and all are acquired', async (t) => {
  const files = temporaryPaths(t, 'a', 'b', 'c')
  const locks = Array.from({ length: 8 }, () => lockFiles(files, { removeOnRelease: true }))
  let inside = 0
  await eventually(
    Promise.all(
      locks.map(async (each) => {
        for (let i = 0; i < 10; i++) {
          await each.run(async () => {
            assert.equal(++inside, 1)
            await new Promise(setImmediate)
            inside--
          })
        }
      }),
    ),
    'all turns',
  )
  assert.deepEqual(
    files.filter((file) => fs.existsSync(file)),
    [],
  )
})
