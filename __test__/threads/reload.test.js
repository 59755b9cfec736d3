'use strict'

// The package loaded more than once in one thread, as Jest's resetModules and a cleared require.cache do. The addon is
// loaded once a process, so these copies of the JavaScript share one table of locks.

const assert = require('node:assert/strict')
const asyncHooks = require('node:async_hooks')
const { test } = require('node:test')

const { ROOT, temporaryPath } = require('../support/folders.js')
const { script } = require('../support/processes.js')
const { eventually, until } = require('../support/waiting.js')

/** The package, loaded anew, its addon too. */
function load() {
  for (const name of Object.keys(require.cache)) {
    if (name.startsWith(`${ROOT}/`) && !name.includes('__test__')) delete require.cache[name]
  }
  return require(ROOT)
}

test('a lock that one load of the package releases goes to the wait of another load in the same thread', async (t) => {
  const file = temporaryPath(t)
  const [one, other] = [load(), load()]
  assert.notEqual(one.lockFile, other.lockFile)
  for (let i = 0; i < 20; i++) {
    const held = await one.lockFile(file).acquire()
    const wait = other.lockFile(file).acquire()
    await until(() => one.query().pending.length > 0, 'the wait')
    held.release()
    const lock = await eventually(wait, 'the lock')
    assert.equal(lock.held, true)
    lock.release()
  }
})

test('a load of the package hears of an abort and of a timeout while another load is called', async (t) => {
  const file = temporaryPath(t)
  const [one, other] = [load(), load()]
  const held = one.lockFile(file).acquireSync()
  const controller = new AbortController()
  const aborted = assert.rejects(other.lockFile(file).acquire({ signal: controller.signal }), { code: 'ABORT_ERR' })
  const late = assert.rejects(other.lockFile(file).acquire({ timeout: 50 }), { code: 'ERR_LOCK_TIMEOUT' })
  controller.abort()
  await eventually(Promise.all([aborted, late]), 'both rejections')
  held.release()
})

test('a load of the package makes nothing that a later load in the same thread makes again', (t) => {
  const made = []
  const hook = asyncHooks.createHook({ init: (_id, type) => type === 'locket' && made.push(type) })
  load()
  hook.enable()
  t.after(() => hook.disable())
  for (let i = 0; i < 10; i++) load()
  assert.deepEqual(made, [])
})

test('the async resource of a thread says whether waits keep the process alive, as tools ask that list open handles', async (t) => {
  const source = `
    const resources = []
    require('node:async_hooks').createHook({
      init(_id, type, _trigger, resource) { if (type === 'locket') resources.push(resource) },
    }).enable()
    const { lockFile: lock } = require(process.argv[3])
    const file = process.argv[2]
    const [{ hasRef }] = resources
    const answers = [resources.length, hasRef()]
    const held = lock(file).acquireSync()
    answers.push(hasRef())
    const wait = lock(file).acquire()
    answers.push(hasRef())
    held.release()
    wait.then((lock) => {
      lock.release()
      answers.push(hasRef())
      console.log(answers.join())
    })`
  const main = `
    const { Worker } = require('node:worker_threads')
    new Worker(${JSON.stringify(source)}, { eval: true, argv: process.argv.slice(1), stdout: false })`
  assert.equal(await script(t, main, [temporaryPath(t), ROOT]).line(), '1,false,false,true,false')
})
