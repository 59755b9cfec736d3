'use strict'

// Starts a registry of our own for a test.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')

const { nodeOfRegistry, programOf } = require('./install.js')

/** A registry in a process of its own. It ends with this process, however that ends. */
class Registry {
  #process

  constructor(child, { folder, url }) {
    this.#process = child
    /** A folder for whatever the test writes: it goes when the registry ends. */
    this.folder = folder
    this.url = url
  }

  /** What it has answered since this was last called: method, url without escapes, status, and bytes of the body. */
  async answered() {
    return (await this.#ask({})).answered
  }

  /** From now on, the packages of these names are refused when they are published. */
  async refuse(names) {
    await this.#ask({ refuse: names })
  }

  async #ask(message) {
    const answer = nextMessage(this.#process)
    this.#process.send(message)
    return answer
  }

  async stop() {
    const exited = once(this.#process, 'exit')
    this.#process.disconnect()
    await exited
  }
}

async function nextMessage(child) {
  const ended = new AbortController()
  const { signal } = ended
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([message]) => message),
      once(child, 'exit', { signal }).then(() => Promise.reject(new Error('The registry has ended'))),
    ])
  } finally {
    ended.abort()
  }
}

/** Starts a registry, in which nothing is published yet. */
async function startRegistry() {
  const child = fork(path.join(__dirname, 'server.js'), [programOf('verdaccio')], {
    execPath: nodeOfRegistry(),
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  return new Registry(child, await nextMessage(child))
}

module.exports = { startRegistry }
