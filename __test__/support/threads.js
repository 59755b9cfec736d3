'use strict'

// Worker threads that are told by messages what to do.

const { on } = require('node:events')
const path = require('node:path')
const { Worker } = require('node:worker_threads')

const { eventually } = require('./waiting.js')

const THREAD = path.join(__dirname, '../fixtures/thread.js')

/** A worker thread that is told what to do with its locks (see fixtures/thread.js). Terminated when the test ends. */
class Thread {
  #answers
  #worker

  constructor(t, file) {
    this.#worker = new Worker(THREAD, { workerData: { file } })
    this.id = this.#worker.threadId
    this.#answers = on(this.#worker, 'message')
    let failure
    this.#worker.on('error', (error) => {
      failure = error
    })
    this.exited = new Promise((resolve) => {
      this.#worker.on('exit', (code) => resolve({ code, failure }))
    })
    t.after(() => this.terminate())
  }

  /** The next thing that it says. */
  async answer() {
    const end = this.exited.then(({ failure }) => {
      throw failure ?? new Error('the thread ended instead of answering')
    })
    const { value } = await eventually(Promise.race([this.#answers.next(), end]), 'an answer of a thread')
    return value[0]
  }

  /** Tells it to do something, with the lock of its own file unless another is given. */
  say(command, options, file) {
    this.#worker.postMessage({ command, options, file })
  }

  /** The same, and waits for its answer. */
  ask(command, options, file) {
    this.say(command, options, file)
    return this.answer()
  }

  /** Acquires the lock, and waits until it is held. */
  async acquire(options, file) {
    await this.ask('acquire', options, file)
    return this.answer()
  }

  /** Ends it from outside, and waits until it is gone. */
  async terminate() {
    this.#worker.terminate()
    return eventually(this.exited, 'the end of a thread')
  }
}

module.exports = { THREAD, Thread }
