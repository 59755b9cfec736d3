'use strict'

// Processes at a client of a cluster file system, seen from the tests: see agent.js.

const readline = require('node:readline')

const { eventually } = require('../support/waiting.js')

class Agent {
  #input
  #kill
  #next = 1
  #asked = new Map()

  /** `output` closes when the process ends. `kill`: kills the process with this ID. */
  constructor({ input, output, kill }) {
    this.#input = input.on('error', () => {})
    this.#kill = kill
    const lines = readline.createInterface({ input: output })
    this.exited = new Promise((resolve) => {
      output
        .on('error', () => {})
        .once('close', () => {
          for (const { reject } of this.#asked.values()) reject(new Error('the process has ended'))
          this.hasExited = true
          resolve()
        })
    })
    this.started = new Promise((resolve) => {
      lines.once('line', (line) => {
        this.pid = JSON.parse(line).pid
        lines.on('line', (answer) => this.#answered(JSON.parse(answer)))
        resolve()
      })
    })
  }

  #answered({ id, error, value, ms }) {
    const { op, resolve, reject } = this.#asked.get(id)
    this.#asked.delete(id)
    if (error) reject(Object.assign(new Error(`${op}: ${error.message}`), { code: error.code ?? error.name, ms }))
    else resolve({ value, ms })
  }

  /**
   * Resolves to the answer: { value, ms }, where `ms` is how long the call took in the agent. Rejects with the error of the call,
   * which has `ms`, too.
   */
  request(op, fields = {}) {
    const id = this.#next++
    const answer = new Promise((resolve, reject) => this.#asked.set(id, { op, resolve, reject }))
    answer.catch(() => {})
    this.#input.write(`${JSON.stringify({ id, op, ...fields })}\n`)
    return answer
  }

  /** Resolves to the value of the answer, which has to come soon. */
  async ask(op, fields) {
    const { value } = await eventually(this.request(op, fields), `the answer of process ${this.pid} to ${op}`)
    return value
  }

  /** Has the agent wait for a lock. Resolves when the wait has reached the kernel, to { granted }: the promise of the answer. */
  async waitFor(fields) {
    const granted = this.request('acquire', fields)
    const early = granted.then(() => Promise.reject(new Error('the lock was free')))
    await Promise.race([this.ask('waits'), early])
    early.catch(() => {})
    return { granted }
  }

  async kill() {
    await this.#kill(this.pid)
    await eventually(this.exited, `the end of process ${this.pid}`)
  }
}

module.exports = { Agent }
