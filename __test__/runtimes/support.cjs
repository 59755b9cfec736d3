'use strict'

// What the behaviours share: folders, other processes of the same runtime, worker threads, and waits that end.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { Worker } = require('node:worker_threads')

const { lockFile } = require('@locket/native')
const talk = require('./talk.cjs')

/** How long a behaviour waits for what must come, in milliseconds. It only bounds how long a failure takes. */
const PATIENCE = 30_000

/** How this runtime is started, and how it is with as few permissions as the package needs. */
const COMMAND = JSON.parse(process.env.LOCKET_RUNTIME ?? 'null') ?? [process.execPath]
const RESTRICTED = JSON.parse(process.env.LOCKET_RESTRICTED ?? 'null')

const ended = []

/** A folder that goes when the behaviour is over. */
function temporaryFolder() {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'locket-')))
  ended.push(() => fs.rmSync(folder, { recursive: true, force: true }))
  return folder
}

const temporaryPath = () => path.join(temporaryFolder(), 'test.lock')

/** What `promise` resolves to, or a failure that says what did not happen. */
async function eventually(promise, what) {
  let timer
  // Made now: its stack is to say who waited.
  const error = new Error(`${what}: not within ${PATIENCE} ms`)
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, PATIENCE, error)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Is `promise` still pending after `ms`? */
async function staysPending(promise, ms = 20) {
  const pending = Symbol('pending')
  const outcome = await Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms, pending))])
  return outcome === pending
}

/** Values that come one by one, for whoever asks for the next one. */
class Inbox {
  #come = []
  #wanted = []

  push(value) {
    const wanted = this.#wanted.shift()
    if (wanted) wanted(value)
    else this.#come.push(value)
  }

  next(what) {
    if (this.#come.length > 0) return Promise.resolve(this.#come.shift())
    return eventually(new Promise((resolve) => this.#wanted.push(resolve)), what)
  }
}

/** Another process of the same runtime that does a part of child.cjs. */
class Child {
  #talk
  #lines = new Inbox()

  constructor(part, ...files) {
    const [command, ...args] = COMMAND
    this.#talk = talk.start(command, [...args, path.join(__dirname, 'child.cjs'), part, ...files], temporaryFolder())
    const { child, lines } = this.#talk
    lines.on('line', (line) => this.#lines.push(line))
    this.exited = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve({ code, signal }))
    })
    this.exited.then(({ code, signal }) => this.#lines.push(`ended with ${signal ?? code}: ${this.stderr}`))
    ended.push(() => this.kill())
  }

  get pid() {
    return this.#talk.child.pid
  }

  get stderr() {
    return this.#talk.errors()
  }

  line() {
    return this.#lines.next(`a line of a process`)
  }

  ask(line) {
    this.#talk.write(line)
    return this.line()
  }

  end() {
    this.#talk.end()
    return eventually(this.exited, 'the end of a process')
  }

  kill() {
    this.#talk.child.kill('SIGKILL')
    return eventually(this.exited, 'the end of a process that was killed')
  }
}

/** A worker thread that has a handle for `file` (see thread.cjs). */
class Thread {
  #worker
  #answers = new Inbox()

  constructor(file, waits) {
    this.#worker = new Worker(path.join(__dirname, 'thread.cjs'), { workerData: { file, waits } })
    this.#worker.on('message', (answer) => this.#answers.push(answer))
    this.#worker.on('error', (error) => this.#answers.push(`failed: ${error.stack}`))
    this.exited = new Promise((resolve) => this.#worker.on('exit', resolve))
    ended.push(() => this.terminate())
  }

  answer() {
    return this.#answers.next('an answer of a worker thread')
  }

  say(command) {
    this.#worker.postMessage(command)
  }

  ask(command) {
    this.say(command)
    return this.answer()
  }

  terminate() {
    return eventually(this.#worker.terminate(), 'the end of a worker thread')
  }
}

/** Can another handle have the lock of `file` now? */
async function isFree(file) {
  const lock = lockFile(file)
  const free = await lock.tryAcquire()
  if (free) lock.release()
  return free
}

/** Another process that has the lock of `file`. */
async function holderOf(file) {
  const holder = new Child('agent', file)
  assert.equal(await holder.line(), 'ready')
  assert.equal(await holder.ask('try'), 'acquired')
  return holder
}

/** Another process that waits for `file`, and the line that it will say when it has the lock. */
async function waiterFor(file) {
  const waiter = new Child('agent', file)
  assert.equal(await waiter.line(), 'ready')
  assert.equal(await waiter.ask('acquire'), 'waiting')
  const acquired = waiter.line()
  assert.ok(await staysPending(acquired))
  return { waiter, acquired }
}

/** A worker thread that is there. */
async function threadFor(file, waits) {
  const thread = new Thread(file, waits)
  assert.equal(await thread.answer(), 'ready')
  return thread
}

/** Ends what a behaviour has left, the last first. */
async function cleanUp() {
  while (ended.length > 0) await ended.pop()()
}

module.exports = {
  Child,
  cleanUp,
  eventually,
  holderOf,
  isFree,
  RESTRICTED,
  staysPending,
  temporaryFolder,
  temporaryPath,
  threadFor,
  waiterFor,
}
