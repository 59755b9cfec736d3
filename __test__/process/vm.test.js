'use strict'

// Code that is stopped while it waits synchronously: nobody would release what it got.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const vm = require('node:vm')

const { lockFile, query } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { isFree } = require('../support/locks.js')
const { holderOf } = require('../support/processes.js')

test('a synchronous wait in a script of node:vm ends with the time of the script, and keeps nothing', async (t) => {
  const file = temporaryPath(t)
  const other = await holderOf(t, file)
  const lock = lockFile(file)
  const stopped = () => vm.runInNewContext('lock.acquireSync()', { lock }, { timeout: 100 })
  assert.throws(stopped, { code: 'ERR_SCRIPT_EXECUTION_TIMEOUT' })
  assert.equal(lock.held, false)
  assert.deepEqual(query().pending, [])
  assert.equal(await other.ask('release'), 'released')
  assert.equal(await isFree(file), true)
  lock.acquireSync()
  lock.release()
})

test('a synchronous wait in a script of node:vm is granted within the time of the script', async (t) => {
  const file = temporaryPath(t)
  const other = await holderOf(t, file)
  const lock = lockFile(file)
  other.say('later {"ms":10}')
  assert.equal(vm.runInNewContext('lock.acquireSync()', { lock }, { timeout: 20_000 }), lock)
  assert.equal(lock.held, true)
  lock.release()
})
