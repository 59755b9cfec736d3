'use strict'

// Processes with handles of a contestant, which do as a trial tells them (see agent.js).

const { spawn } = require('node:child_process')
const path = require('node:path')
const readline = require('node:readline')

/** How much of what an agent says first on stderr is kept, for the report of a crash. */
const KEPT = 2000

class Agent {
  #process
  #lines
  #ended
  #errors = ''

  constructor([command, ...args]) {
    this.#process = spawn(command, args)
    this.#process.stdin.on('error', () => {})
    this.#process.stderr.setEncoding('utf8').on('data', (text) => {
      this.#errors = (this.#errors + text).slice(0, KEPT)
    })
    this.#lines = readline.createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
    this.#ended = new Promise((resolve, reject) => {
      this.#process.on('error', reject)
      this.#process.on('close', (code, signal) => resolve(signal ?? code))
    })
    this.#ended.catch(() => {})
  }

  get pid() {
    return this.#process.pid
  }

  /** The next line that it prints. */
  async line() {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`a process ended with ${await this.#ended}: ${this.#errors.trim()}`)
    return value
  }

  /** Writes it a line. */
  say(command, options) {
    this.#process.stdin.write(options === undefined ? `${command}\n` : `${command} ${JSON.stringify(options)}\n`)
  }

  /** Writes it a line and waits for its answer. */
  ask(command, options) {
    this.say(command, options)
    return this.line()
  }

  /** When it asked for the lock, entered and left, for each time that it was told to. In nanoseconds. */
  async log() {
    const entries = JSON.parse(await this.ask('log'))
    return entries.map(([asked, entered, left]) => ({ asked, entered, left }))
  }

  /** Kills it. Resolves when it is gone. */
  async kill() {
    this.#process.kill('SIGKILL')
    // If it could not be started, that has been said already.
    await this.#ended.catch(() => {})
  }
}

const commandLine = ({ name, program }) => program ?? [process.execPath, path.join(__dirname, 'agent.js'), name]

/**
 * Starts `count` agents, each with handles for all the `files`, and calls `task` with them when they are ready. Ends
 * them when it is over: processes that are still dying would disturb the next trial.
 */
async function withAgents(contestant, count, files, task) {
  const agents = Array.from({ length: count }, () => new Agent([...commandLine(contestant), ...files]))
  try {
    await Promise.all(agents.map((agent) => agent.line()))
    return await task(agents)
  } finally {
    await Promise.all(agents.map((agent) => agent.kill()))
  }
}

module.exports = { withAgents }
