'use strict'

// Processes that exclude each other, and how they end.

const assert = require('node:assert/strict')

const { lockFile } = require('@locket/native')
const { Child, eventually, holderOf, isFree, staysPending, temporaryPath, waiterFor } = require('../support.cjs')

module.exports = {
  async 'processes exclude each other, and hand over'() {
    const file = temporaryPath()
    const holder = await holderOf(file)
    assert.equal(await isFree(file), false)
    const mine = lockFile(file).acquire()
    assert.ok(await staysPending(mine))
    assert.equal(await holder.ask('release'), 'released')
    const lock = await eventually(mine, 'the lock')
    assert.equal(await holder.ask('try'), 'refused')
    assert.equal(await holder.ask('acquire'), 'waiting')
    const theirs = holder.line()
    assert.ok(await staysPending(theirs))
    lock.release()
    assert.equal(await theirs, 'acquired')
    assert.deepEqual(await holder.end(), { code: 0, signal: null })
    assert.equal(await isFree(file), true)
  },

  async 'a holder is killed: the next one is in'() {
    const file = temporaryPath()
    const holder = await holderOf(file)
    const { acquired } = await waiterFor(file)
    await holder.kill()
    assert.equal(await acquired, 'acquired')
  },

  async 'a pending acquire keeps the process alive'() {
    const file = temporaryPath()
    const lock = await lockFile(file).acquire()
    const child = new Child('waits', file)
    assert.equal(await child.line(), 'waiting')
    assert.ok(await staysPending(child.exited, 200))
    lock.release()
    assert.equal(await child.line(), 'acquired')
    assert.deepEqual(await eventually(child.exited, 'the end of the process'), { code: 0, signal: null })
  },

  async 'a held lock does not keep the process alive'() {
    const file = temporaryPath()
    const child = new Child('holds', file)
    assert.equal(await child.line(), 'acquired')
    assert.deepEqual(await eventually(child.exited, 'the end of the process'), { code: 0, signal: null })
    assert.equal(await isFree(file), true)
  },

  async 'process.exit() with waits pending'() {
    const file = temporaryPath()
    const lock = await lockFile(file).acquire()
    const child = new Child('exitsWaiting', file)
    assert.equal(await child.line(), 'waiting')
    assert.deepEqual(await eventually(child.exited, 'the end of the process'), { code: 3, signal: null })
    assert.equal(child.stderr, '')
    lock.release()
    assert.equal(await isFree(file), true)
  },

  async 'an uncaught error with waits pending'() {
    const file = temporaryPath()
    const lock = await lockFile(file).acquire()
    const child = new Child('failsWaiting', file)
    assert.equal(await child.line(), 'waiting')
    assert.deepEqual(await eventually(child.exited, 'the end of the process'), { code: 1, signal: null })
    assert.match(child.stderr, /on purpose/)
    lock.release()
    assert.equal(await isFree(file), true)
  },

  async 'the garbage collector releases nothing'() {
    const file = temporaryPath()
    const child = new Child('dropsHandle', file)
    assert.equal(await child.line(), 'collected')
    assert.equal(await isFree(file), false)
    assert.deepEqual(await child.end(), { code: 0, signal: null })
    assert.equal(await isFree(file), true)
  },
}
