'use strict'

// Shared locks that one process takes again and again, while another process wants the lock for itself.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { lockFile } = require('..')
const { eventually, script, temporaryPath } = require('./support.js')

test('shared holds of one process that overlap all the time let an exclusive request of another process in', async (t) => {
  const file = temporaryPath(t)
  const readers = script(
    t,
    `
    const file = process.argv[1]
    async function read() {
      for (;;) await lockFile(file).run(() => new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 5)), { mode: 'shared' })
    }
    for (let i = 0; i < 4; i++) read()
    setTimeout(() => console.log('reading'), 100)`,
    [file],
  )
  assert.equal(await readers.line(), 'reading')
  for (let i = 0; i < 3; i++) {
    const lock = await eventually(lockFile(file).acquire(), 'the lock')
    lock.release()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
})

test('a shared hold that stays does not lock out others of its own process, however many join it', async (t) => {
  const file = temporaryPath(t)
  const held = await lockFile(file).acquire({ mode: 'shared' })
  for (let i = 0; i < 200; i++) await lockFile(file).run(() => {}, { mode: 'shared' })
  for (let i = 0; i < 200; i++) {
    assert.equal(await lockFile(file).tryAcquire({ mode: 'shared' }), true)
    const lock = lockFile(file).acquireSync({ mode: 'shared' })
    lock.release()
  }
  held.release()
})
