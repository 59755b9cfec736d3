'use strict'

// The director's side of the processes: starts them, records what they report, waits for it, and leaves none behind.

const { fork } = require('node:child_process')
const { EventEmitter, once } = require('node:events')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { now } = require('./clock.js')

const CONTENDER = path.join(__dirname, 'contender.js')

class Stage extends EventEmitter {
  /** All processes. */
  actors = []
  /** What happened: who (name, pid), what, at which time (ms since the start), and the message of an error. */
  events = []
  #start = now()
  #stop = new AbortController()

  /** Why the show has to stop, if it has to. */
  get failure() {
    return this.#stop.signal.reason
  }

  /** Milliseconds since the start. */
  get time() {
    return now() - this.#start
  }

  /** Starts a process, which gets ready to lock `file`. */
  enter(name, file) {
    const actor = new Actor(this, name, file)
    this.actors.push(actor)
    return actor
  }

  record({ name, pid }, { what, at, message }) {
    const event = { name, pid, what, at: at - this.#start, message }
    this.events.push(event)
    this.emit('event', event)
  }

  /** Waits until `condition` holds. Only what is recorded can change it. */
  async until(condition) {
    while (!condition()) await once(this, 'event', { signal: this.#stop.signal })
  }

  /** The same, but the show stops unless it holds within `ms`. */
  async untilWithin(ms, condition, what) {
    const timer = setTimeout(() => this.stop(new Error(`${what}: not within ${ms} ms`)), ms)
    try {
      await this.until(condition)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Lets the audience see how things are. */
  pause(ms) {
    return sleep(ms, undefined, { signal: this.#stop.signal })
  }

  /** Ends every wait and pause. The first reason counts. */
  stop(reason) {
    this.#stop.abort(reason)
  }

  /** Ends every process that is still there, and waits until it is gone. */
  async clear() {
    await Promise.all(this.actors.map((actor) => actor.remove()))
  }
}

/** A process on the stage. */
class Actor {
  /** What it did last. */
  state
  #stage
  #child
  #gone
  /** The exit code or signal with which it may end now. */
  #end

  constructor(stage, name, file) {
    this.name = name
    this.#stage = stage
    this.#child = fork(CONTENDER, [file], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#child.on('message', (report) => this.#record(report))
    let errors = ''
    this.#child.stderr.on('data', (data) => {
      errors += data
    })
    this.#gone = new Promise((resolve) => {
      this.#child.on('error', (error) => {
        // Of one that could be started, its end tells more.
        if (this.pid !== undefined) return
        stage.stop(error)
        resolve()
      })
      this.#child.on('close', (code, signal) => {
        const end = signal ?? code
        const what = `${name} (${this.pid}) ended unasked, with ${end}\n${errors}`.trim()
        if (end !== this.#end) stage.stop(new Error(what))
        resolve()
      })
    })
  }

  get pid() {
    return this.#child.pid
  }

  /** Has it acquire the lock. Resolves when it holds the lock, or has been refused. */
  async acquire(options) {
    this.#child.send({ command: 'acquire', options })
    await this.#stage.until(() => this.state === 'holds' || this.state === 'refused')
  }

  async release() {
    this.#child.send({ command: 'release' })
    await this.#stage.until(() => this.state === 'rests')
  }

  /** Has it end by itself. If it has been refused, that is the last that is said of it. */
  async leave() {
    this.#end = 0
    // Not disconnected from here: then Node never emits 'close'.
    this.#child.send({ command: 'leave' })
    await this.#gone
    if (this.state !== 'refused') this.#record({ what: 'done', at: now() })
  }

  /** Kills it in the midst of what it does. */
  kill() {
    this.#end = 'SIGKILL'
    const at = now()
    this.#child.kill('SIGKILL')
    this.#record({ what: 'killed', at })
  }

  /** Makes sure that it is gone. */
  async remove() {
    this.#child.kill('SIGKILL')
    await this.#gone
  }

  #record(report) {
    this.state = report.what
    this.#stage.record(this, report)
  }
}

module.exports = { Stage }
