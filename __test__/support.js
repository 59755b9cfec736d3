'use strict'

// What the tests share: folders that go away, processes that are talked to line by line, and waits that end.

const assert = require('node:assert/strict')
const { spawn, spawnSync } = require('node:child_process')
const { on } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const readline = require('node:readline')
const { Worker } = require('node:worker_threads')

const { lockFile } = require('..')

/** How long a test waits for what must come. Generous: it only bounds how long a failure takes. */
const PATIENCE = 20_000

/** A folder of the test's own, removed when it ends. */
function temporaryFolder(t, parent = os.tmpdir()) {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(parent, 'locket-')))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 }))
  return folder
}

/** The path of a lock file in a folder of the test's own. It does not exist yet. */
const temporaryPath = (t) => path.join(temporaryFolder(t), 'test.lock')

/** `promise`, or a failure that says what did not happen. */
async function eventually(promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${PATIENCE} ms`)), PATIENCE)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits until `condition` holds: for what the system tells only to those who look, such as a count of threads. */
async function until(condition, what) {
  const end = Date.now() + PATIENCE
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${PATIENCE} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Is `promise` still pending after the event loop has gone round, and `ms` have passed? */
async function staysPending(promise, ms = 10) {
  const pending = Symbol('pending')
  const outcome = await Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms, pending))])
  return outcome === pending
}

/** Has the promise been settled when all that needs no turn of the event loop has been done? */
async function settlesAtOnce(promise) {
  let settled = false
  promise.then(() => {
    settled = true
  })
  await new Promise(process.nextTick)
  for (let i = 0; i < 20; i++) await null
  return settled
}

/** A child process that is talked to line by line. Killed when the test ends. */
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

  /** Kills it, and waits until it is gone. */
  async kill(signal = 'SIGKILL') {
    this.#process.kill(signal)
    return eventually(this.exited, `the end of process ${this.pid}`)
  }
}

/** A Node process that runs `script`, a file in fixtures/. */
const fixture = (t, script, args = [], options = {}) =>
  new Talker(
    t,
    process.execPath,
    [...(options.execArgv ?? []), path.join(__dirname, 'fixtures', script), ...args],
    options,
  )

/** A Node process that runs `source`, in which `lockFile` is defined. */
const script = (t, source, args = [], options = {}) =>
  new Talker(
    t,
    process.execPath,
    [
      ...(options.execArgv ?? []),
      '-e',
      `const { lockFile } = require(${JSON.stringify(path.dirname(__dirname))})\n${source}`,
      ...args,
    ],
    options,
  )

const TOOL = path.join(path.dirname(__dirname), 'bin/locket.js')

/** The command-line tool, to be talked to: it, and the command that it runs. */
const locket = (t, args, options) => new Talker(t, process.execPath, [TOOL, ...args], options)

/** What a command that ends by itself has written and how it has ended. */
function outcomeOf(command, args, options) {
  const { error, status, signal, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: PATIENCE,
    killSignal: 'SIGKILL',
    ...options,
  })
  if (error) throw error
  return { code: status, signal, stdout, stderr }
}

/** The same of the command-line tool. */
const runLocket = (args, options) => outcomeOf(process.execPath, [TOOL, ...args], options)

/** Another process with a handle for `file`, which acquires and releases as it is told (see fixtures/agent.js). */
const agent = (t, file, options) => fixture(t, 'agent.js', [file], options)

/** An agent in another process that waits for `file`, and the line that it will say when it has the lock. */
async function waiterFor(t, file) {
  const waiter = agent(t, file)
  assert.equal(await waiter.ask('acquire'), 'waiting')
  const acquired = waiter.line()
  acquired.catch(() => {})
  assert.ok(await staysPending(acquired))
  return { waiter, acquired }
}

/** A worker thread that is told what to do with its locks (see fixtures/thread.js). Terminated when the test ends. */
class Thread {
  #answers
  #worker

  constructor(t, file) {
    this.#worker = new Worker(path.join(__dirname, 'fixtures/thread.js'), { workerData: { file } })
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

  /** Tells it to do something, with the lock of its own file unless `file` says another. */
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

/** Is there a process with this pid? */
function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Skips the test if a program is missing; with LOCKET_REQUIRE_ALL=1 that is a failure. */
function needs(t, command, args = ['--version']) {
  if (spawnSync(command, args).status === 0) return true
  return unavailable(t, `${command} is not installed`)
}

/** Skips the test, saying why; with LOCKET_REQUIRE_ALL=1 that is a failure. */
function unavailable(t, why) {
  if (process.env.LOCKET_REQUIRE_ALL === '1') throw new Error(`LOCKET_REQUIRE_ALL: ${why}`)
  t.skip(why)
  return false
}

/** Resolves when all that has been asked for in this thread is in line: jobs are done in their order. */
const allInLine = (file) => lockFile(path.join(path.dirname(file), 'another')).isLocked()

/** The error of `call`, whether it throws or rejects. */
async function errorOf(call) {
  try {
    await eventually(call(), 'the error')
  } catch (error) {
    return error
  }
  return assert.fail('there was no error')
}

/**
 * The error of `call`, a wait that times out, with the holders in it. On a busy machine the system may not tell in time, and
 * the error comes without: then again.
 */
async function errorNamingHolders(call) {
  let error
  await until(async () => {
    error = await errorOf(call)
    return error.holders?.length > 0
  }, 'an error that names the holders')
  return error
}

/** In a child: what went wrong in `call`, as a line can say it. */
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

/** Is the lock of `file` to be had now? Asked by a handle of its own. */
async function isFree(file) {
  const lock = lockFile(file)
  const free = await lock.tryAcquire()
  if (free) lock.release()
  return free
}

module.exports = {
  allInLine,
  errorNamingHolders,
  errorOf,
  TELL,
  PATIENCE,
  Talker,
  Thread,
  agent,
  eventually,
  fixture,
  isAlive,
  isFree,
  locket,
  needs,
  outcomeOf,
  runLocket,
  script,
  settlesAtOnce,
  staysPending,
  temporaryFolder,
  temporaryPath,
  TOOL,
  unavailable,
  until,
  waiterFor,
}
