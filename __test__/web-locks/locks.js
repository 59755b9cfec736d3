'use strict'

// What the tests of LockManager have in common.

const assert = require('node:assert/strict')
const { on } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { Worker } = require('node:worker_threads')

const { LockManager } = require('../..')
const { ROOT, temporaryFolder } = require('../support/folders.js')
const { Talker } = require('../support/processes.js')
const { eventually, until } = require('../support/waiting.js')

/** A manager of a folder that does not exist yet. */
const newManager = (t) => new LockManager(newFolder(t))

const newFolder = (t) => path.join(temporaryFolder(t), 'locks')

/** The folder of a manager, as printing it shows. */
const folderOf = (manager) => /folder: '(.*)'/.exec(require('node:util').inspect(manager))[1]

const filesOf = (folder) => fs.readdirSync(folder)

/** Waits until the folder is empty. */
const isEmptied = (folder) => until(() => filesOf(folder).length === 0, `no file in ${folder}`)

/**
 * Requests a lock, and resolves when the callback is called: to the lock, a function that ends the callback, and the promise
 * of the request.
 */
async function hold(t, manager, name, options = {}) {
  let release
  const over = new Promise((resolve) => {
    release = resolve
  })
  t.after(release)
  let request
  const lock = await eventually(
    new Promise((resolve, reject) => {
      request = manager.request(name, options, (granted) => {
        resolve(granted)
        return over
      })
      request.catch(reject)
    }),
    `the lock '${name}'`,
  )
  return { lock, release, request }
}

/** Resolves to true if the lock is available. */
const isAvailable = (manager, name, options) =>
  manager.request(name, { ...options, ifAvailable: true }, (lock) => lock !== null)

/**
 * A process in whose source `manager` is a manager of `folder`, `say` prints a value, and `hold` holds a lock for ever.
 * `runner`: a command that runs it.
 */
function managing(t, folder, source, runner = []) {
  const head = `
    const { LockManager } = require(${JSON.stringify(ROOT)})
    const manager = new LockManager(process.argv[1])
    const say = (value) => console.log(JSON.stringify(value))
    const hold = (name, options = {}) => new Promise((resolve, reject) => {
      manager.request(name, options, (lock) => new Promise(() => resolve(lock))).catch(reject)
    })
    process.stdin.resume()`
  const [command, ...args] = [...runner, process.execPath, '-e', `${head}\n${source}`, folder]
  return new Talker(t, command, args)
}

/** A process that holds the lock `name`. */
async function holderOf(t, folder, name, options = {}) {
  const holder = managing(
    t,
    folder,
    `hold(${JSON.stringify(name)}, ${JSON.stringify(options)}).then(() => say('held'))`,
  )
  assert.equal(await holder.line(), '"held"')
  return holder
}

/** A worker thread that is told what to do with the locks of a folder (see thread.js). Terminated when the test ends. */
class Thread {
  #answers
  #gate = new Int32Array(new SharedArrayBuffer(4))
  #worker

  constructor(t, folder) {
    this.#worker = new Worker(path.join(__dirname, 'thread.js'), { workerData: { folder, gate: this.#gate } })
    this.id = this.#worker.threadId
    this.#answers = on(this.#worker, 'message')
    t.after(() => this.terminate())
  }

  /** Its next answer. */
  async answer() {
    const { value } = await eventually(this.#answers.next(), 'an answer of a thread')
    return value[0]
  }

  say(command, name, options) {
    this.#worker.postMessage({ command, name, options })
  }

  ask(command, name, options) {
    this.say(command, name, options)
    return this.answer()
  }

  /** Lets it go on, if it is blocked until then. */
  go() {
    Atomics.store(this.#gate, 0, 1)
    Atomics.notify(this.#gate, 0)
  }

  terminate() {
    this.go()
    return this.#worker.terminate()
  }
}

/** The error of a promise. */
async function rejection(promise) {
  try {
    await eventually(promise, 'the rejection')
  } catch (error) {
    return error
  }
  return assert.fail('it was not rejected')
}

/** Asserts that a promise is rejected with a DOMException of this name. */
async function rejectsWith(promise, name) {
  const error = await rejection(promise)
  assert.ok(error instanceof DOMException, String(error?.stack ?? error))
  assert.equal(error.name, name)
  return error
}

module.exports = {
  Thread,
  filesOf,
  folderOf,
  hold,
  holderOf,
  isAvailable,
  isEmptied,
  managing,
  newFolder,
  newManager,
  rejection,
  rejectsWith,
}
