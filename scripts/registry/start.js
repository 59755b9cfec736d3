'use strict'

// Starts a registry of our own for a test.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')

const { nodeOfRegistry, programOf } = require('./install.js')

/** A registry in a process of its own. It ends with this process, however that ends. */
class Registry {
  #process
  #ended

  constructor() {
    this.#process = fork(path.join(__dirname, 'server.js'), [programOf('verdaccio')], {
      execPath: nodeOfRegistry(),
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#ended = once(this.#process, 'exit').then(() => Promise.reject(new Error('The registry has ended')))
    this.#ended.catch(() => {})
  }

  /** Resolves when it listens: then it has a URL, and a folder for what the test writes, which goes with it. */
  async start() {
    Object.assign(this, await this.#message())
    return this
  }

  /** What it has answered since this was last called: method, url without escapes, and status. */
  async answered() {
    return (await this.#ask({})).answered
  }

  /** From now on, packages of these names are refused when they are published. */
  async refuse(names) {
    await this.#ask({ refuse: names })
  }

  #ask(message) {
    this.#process.send(message)
    return this.#message()
  }

  async #message() {
    const [message] = await Promise.race([once(this.#process, 'message'), this.#ended])
    return message
  }

  async stop() {
    this.#process.disconnect()
    await this.#ended.catch(() => {})
  }
}

/** Starts a registry, in which nothing is published yet. */
const startRegistry = () => new Registry().start()

module.exports = { startRegistry }
