'use strict'

// Other processes: talked to line by line, or run to their end.

const assert = require('node:assert/strict')
const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')

const { ROOT } = require('./folders.js')
const { LINUX } = require('./systems.js')
const { eventually, PATIENCE, staysPending } = require('./waiting.js')

/** A process that is talked to line by line. Killed when the test ends. */
class Talker {
  #lines
  #process
  #errors = ''

  constructor(t, command, args, options) {
    this.#process = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options })
    this.#process.stdin.on('error', () => {})
    this.#process.stderr.on('data', (data) => {
      this.#errors += data
    })
    this.#lines = readline.createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
    this.exited = new Promise((resolve, reject) => {
      this.#process.on('error', reject)
      this.#process.on('close', (code, signal) => resolve({ code, signal, stderr: this.#errors }))
    })
    this.exited.catch(() => {})
    t.after(() => this.kill())
  }

  get pid() {
    return this.#process.pid
  }

  /** What it has written to its standard error so far. */
  get stderr() {
    return this.#errors
  }

  /** The next line that it prints. */
  async line() {
    const { value, done } = await eventually(this.#lines.next(), `a line of process ${this.pid}`)
    if (done) throw new Error(`process ended instead of answering\n${this.#errors}`)
    return value
  }

  /** All lines that it prints from now on, until it ends. */
  async rest() {
    const lines = []
    for (;;) {
      const { value, done } = await eventually(this.#lines.next(), `a line or the end of process ${this.pid}`)
      if (done) return lines
      lines.push(value)
    }
  }

  /** Writes it a line. */
  say(line) {
    this.#process.stdin.write(`${line}\n`)
  }

  /** Writes it a line and waits for its answer. */
  ask(line) {
    this.say(line)
    return this.line()
  }

  /** Closes its standard input. */
  end() {
    this.#process.stdin.end()
  }

  /** How it ends, which it does by itself. */
  ended() {
    return eventually(this.exited, `the end of process ${this.pid}`)
  }

  /** Kills it, and waits until it is gone. */
  async kill(signal = 'SIGKILL') {
    this.#process.kill(signal)
    return this.ended()
  }
}

/** How a process ends that has nothing to complain of. */
const GOOD_END = { code: 0, signal: null, stderr: '' }

/** A Node process that runs the file `file`. */
const run = (t, file, args = [], { execArgv = [], ...options } = {}) =>
  new Talker(t, process.execPath, [...execArgv, file, ...args], options)

/** A Node process that runs `source`, in which `lockFile` and `query` are defined. */
function script(t, source, args = [], { execArgv = [], ...options } = {}) {
  const head = `const { lockFile, query } = require(${JSON.stringify(ROOT)})`
  return new Talker(t, process.execPath, [...execArgv, '-e', `${head}\n${source}`, ...args], options)
}

/** What the source of such a process can begin with: functions that say as a line of JSON what went wrong in a call. */
const TELL = `
  const fs = require('node:fs')
  const describe = ({ name, code, errno, syscall, path, message, cause }) =>
    ({ name, code, errno, syscall, path, message, cause: cause && describe(cause) })
  const tell = (value) => fs.writeSync(1, JSON.stringify(value) + '\\n')
  const codeOf = (call) => { try { call(); return 'no error' } catch (error) { return error.code ?? error.stack } }
  const errorOf = async (call) => { try { await call(); return 'no error' } catch (error) { return describe(error) } }
  const errorsOf = async (lock) => [
    await errorOf(() => lock.acquire()),
    await errorOf(() => lock.acquireSync()),
    await errorOf(() => lock.tryAcquire()),
    await errorOf(() => lock.tryAcquireSync()),
    await errorOf(() => lock.run(() => {})),
  ]
`

const AGENT = path.join(__dirname, '../fixtures/agent.js')

/**
 * Another process with a handle for `file`, which acquires and releases as it is told (see fixtures/agent.js). `options`:
 * of the handle.
 */
function agent(t, file, options, processOptions) {
  const args = file === undefined ? [] : options === undefined ? [file] : [file, JSON.stringify(options)]
  return run(t, AGENT, args, processOptions)
}

/** An agent that holds the lock of `file`. */
async function holderOf(t, file, options = {}, processOptions = undefined) {
  const holder = agent(t, file, undefined, processOptions)
  assert.equal(await holder.ask(`acquire ${JSON.stringify(options)}`), 'waiting')
  assert.equal(await holder.line(), 'acquired')
  return holder
}

/** A process that holds the locks of all `files` until it is killed. */
async function holderOfAll(t, files) {
  // They may be too many for a command line.
  const source = `
    require('node:readline').createInterface(process.stdin).once('line', (files) => {
      for (const file of JSON.parse(files)) lockFile(file).acquireSync()
      console.log('acquired')
    })`
  const holder = script(t, source)
  holder.say(JSON.stringify(files))
  assert.equal(await holder.line(), 'acquired')
  return holder
}

/** An agent that waits for the lock of `file`, and the line that it says when it holds the lock. */
async function waiterOf(t, file) {
  const waiter = agent(t, file)
  assert.equal(await waiter.ask('acquire'), 'waiting')
  const acquired = waiter.line()
  acquired.catch(() => {})
  assert.ok(await staysPending(acquired))
  return { waiter, acquired }
}

/** What a command that ends by itself has written and how it has ended. */
function outcomeOf(command, args, options) {
  const limit = { encoding: 'utf8', timeout: PATIENCE, killSignal: 'SIGKILL' }
  const { error, status, signal, stdout, stderr } = spawnSync(command, args, { ...limit, ...options })
  if (error) throw error
  return { code: status, signal, stdout, stderr }
}

/** Returns true if there is a process with this pid. One that has died and is not reaped by its parent does not count. */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return !LINUX || !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

module.exports = {
  AGENT,
  agent,
  GOOD_END,
  holderOf,
  holderOfAll,
  isAlive,
  outcomeOf,
  run,
  script,
  Talker,
  TELL,
  waiterOf,
}
