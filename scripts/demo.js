'use strict'

// `npm run demo`: four processes take turns on one lock. One is killed while it holds the lock, and the next one has it
// at once; a fifth process waits for a short time only, and learns who holds the lock. Exits with 0 if all of that
// happens, and with 1 otherwise.

const { fork } = require('node:child_process')
const { EventEmitter, on, once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const NAMES = ['A', 'B', 'C', 'D']
const TURNS_EACH = 3
/** Early enough that others have turns left when the holder is killed. */
const FATAL_TURN = 6

// In milliseconds.
const HOLD = 250
const REST = 100
const TIMEOUT = 300
const LIMIT = 90_000

/** Milliseconds of the monotonic clock, which all processes share. */
const now = () => Number(process.hrtime.bigint()) / 1e6

/** One of the four processes. It holds the lock until it is told to release it. */
async function contend(file) {
  const { lockFile } = require('..')
  const tell = (event) => process.send({ event, at: now() })
  process.on('disconnect', () => process.exit())
  // Ctrl-C goes to every process of the terminal. The parent ends the others.
  process.on('SIGINT', () => {})
  const lock = lockFile(file)
  for (let turn = 0; turn < TURNS_EACH; turn++) {
    tell('waits')
    await lock.acquire()
    tell('holds')
    await once(process, 'message')
    tell('releases')
    lock.release()
    await sleep(REST)
  }
  process.disconnect()
}

class Demo {
  #start = now()
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'locket-demo-'))
  #file = path.join(this.#folder, 'demo.lock')
  #events = new EventEmitter()
  #abort = new AbortController()
  #children = []

  /** Ends the demo. The first reason counts. */
  fail(error) {
    this.#abort.abort(error)
  }

  async run() {
    const limit = setTimeout(() => this.fail(new Error(`not over within ${LIMIT} ms`)), LIMIT)
    try {
      await this.#play()
    } catch (error) {
      this.fail(error)
    }
    clearTimeout(limit)
    for (const child of this.#children) kill(child)
    await this.#ended()
    fs.rmSync(this.#folder, { recursive: true, force: true })
    return this.#abort.signal.reason
  }

  async #play() {
    const { lockFile } = require('..')
    const { signal } = this.#abort
    const lock = lockFile(this.#file).acquireSync()
    this.#say(`this process (${process.pid}) holds the lock`)
    const holds = on(this.#events, 'holds', { signal })
    this.#children = NAMES.map((name) => this.#startProcess(name))
    while (this.#waiting().length < NAMES.length) await once(this.#events, 'waits', { signal })

    let turns = NAMES.length * TURNS_EACH
    let end = { at: now(), what: 'the release' }
    let killed
    lock.release()
    for (let turn = 1; turn <= turns; turn++) {
      const [holder, at] = (await holds.next()).value
      if (at < end.at) throw new Error(`${nameOf(holder)} held the lock before ${end.what}`)
      const wait = `${(at - end.at).toFixed(1)} ms after ${end.what}`
      if (killed && !killed.next) killed.next = `${nameOf(holder)} held the lock ${wait}`
      this.#say(`${nameOf(holder)} holds the lock, ${wait}; waiting: ${this.#waiting().join(', ') || 'nobody'}`)
      holder.turns++
      if (turn === FATAL_TURN) {
        end = await this.#killWhileHeld(holder, lockFile(this.#file))
        killed = { holder }
        turns -= TURNS_EACH - holder.turns
      } else {
        await sleep(HOLD, undefined, { signal })
        holder.process.send('release')
        end = { at: (await once(holder.events, 'releases', { signal }))[0], what: `${holder.name} released it` }
      }
    }
    await this.#ended()
    if (signal.aborted) return
    console.log(`\n${turns} turns of ${NAMES.length} processes, and never two holders at once.`)
    console.log(`${nameOf(killed.holder)} was killed while it held the lock. ${killed.next}.`)
  }

  /** Resolves to the end of the hold. */
  async #killWhileHeld(holder, lock) {
    const { signal } = this.#abort
    this.#say(`this process (${process.pid}) wants the lock within ${TIMEOUT} ms`)
    const error = await lock.acquire(TIMEOUT).catch((reason) => reason)
    if (error.code !== 'ERR_LOCK_TIMEOUT') throw new Error(`${nameOf(holder)} did not keep the lock: ${error}`)
    this.#say(`this process (${process.pid}) gives up: ${error.message}`)
    while (this.#waiting().length === 0) await once(this.#events, 'waits', { signal })
    const end = { at: now(), what: `${holder.name} was killed` }
    kill(holder)
    this.#say(`${nameOf(holder)} is killed by SIGKILL while it holds the lock`)
    return end
  }

  #startProcess(name) {
    const child = fork(__filename, [this.#file])
    const contender = { name, process: child, events: new EventEmitter(), turns: 0, state: 'starts', killed: false }
    child.on('message', ({ event, at }) => {
      contender.state = event
      contender.events.emit(event, at)
      this.#events.emit(event, contender, at)
    })
    contender.gone = new Promise((resolve) => {
      child.on('error', (error) => {
        this.fail(error)
        resolve()
      })
      child.on('exit', (code, signal) => {
        if (code !== 0 && !contender.killed) this.fail(new Error(`${nameOf(contender)} ended with ${signal ?? code}`))
        resolve()
      })
    })
    return contender
  }

  #ended() {
    return Promise.all(this.#children.map(({ gone }) => gone))
  }

  /** The names of those that wait. */
  #waiting() {
    return this.#children.filter(({ state }) => state === 'waits').map(({ name }) => name)
  }

  #say(what) {
    console.log(`${((now() - this.#start) / 1000).toFixed(3).padStart(6)} s  ${what}`)
  }
}

function kill(contender) {
  contender.killed = true
  contender.process.kill('SIGKILL')
}

const nameOf = ({ name, process: { pid } }) => `${name} (${pid})`

async function main() {
  require('./prepare.js').prepare()
  console.log(`${NAMES.length} processes take turns on one lock. One of them will be killed.\n`)
  const demo = new Demo()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    const exitCode = 128 + os.constants.signals[signal]
    process.on(signal, () => demo.fail(Object.assign(new Error(`interrupted by ${signal}`), { exitCode })))
  }
  process.stdout.on('error', (error) => demo.fail(error))
  const failure = await demo.run()
  if (failure) console.error(`The demo failed: ${failure.message}`)
  process.exitCode = failure ? (failure.exitCode ?? 1) : 0
}

if (process.send && process.argv[2]) contend(process.argv[2])
else main()
