'use strict'

const { checkTask, checkWait } = require('../../../lib/arguments.js')
const { wrongThis } = require('../../../lib/invalid.js')
const { callTask, enclosingRun, watch } = require('../../../lib/nested-runs.js')
const { checkLockOptions, checkName } = require('./arguments.js')
const { AbortError, notHeldError } = require('./errors.js')
const { holdersOf } = require('./holders.js')
const { sessionsOf } = require('./sessions.js')
const { questionsOn } = require('./sql.js')
const { keepAlive, letGo } = require('./timers.js')
const { isTraced, tellReleased, traced } = require('./tracing.js')

const LOCK_OPTIONS = ['connection', 'timeout', 'mode', 'maxSessions', 'allowPooler']
const ACQUIRE_OPTIONS = ['timeout', 'mode', 'signal']
const TRY_ACQUIRE_OPTIONS = ['mode', 'signal']

/** As many as a Pool of pg has by default. */
const MAX_SESSIONS = 10

/** Node lacks the symbol before 20.4, and in the contexts of node:vm. Compiled `using` then looks for the registered one. */
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')

/** The method that util.inspect() calls. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Keeps structuredClone() and postMessage() from making an empty object of a handle: a symbol cannot be cloned. */
const UNCLONEABLE = Symbol('a PostgresLock cannot be cloned: call postgresLock(name) where it is needed')

/** Returns true for an object that the constructor has made, false for a proxy of one. */
let isPostgresLock

// The types and the documentation of the methods are in index.d.ts, where editors show them.

class PostgresLock {
  uncloneable = UNCLONEABLE

  #name
  #sessions
  #limit
  /** The options of a wait without any. */
  #defaults
  /** The present acquisition, also if it was lost and not released. */
  #hold
  /** The token of the last acquisition. */
  #token
  /** The controller of the signal `lost`, once that has been read. */
  #lost
  /** Whether `#lost` belongs to an acquisition that has begun, not to the next one. */
  #lostBegun = false

  constructor(name, options) {
    const {
      connection,
      timeout = Infinity,
      mode = 'exclusive',
      maxSessions = MAX_SESSIONS,
      allowPooler = false,
    } = checkLockOptions(options, LOCK_OPTIONS)
    checkName(name)
    this.#name = name
    this.#limit = maxSessions
    this.#defaults = { timeout, mode }
    this.#sessions = sessionsOf(connection, allowPooler)
  }

  get name() {
    checkThis(this)
    return this.#name
  }

  get held() {
    checkThis(this)
    return this.#hold !== undefined && this.#hold.error === undefined
  }

  get token() {
    checkThis(this)
    return this.#token
  }

  get lost() {
    checkThis(this)
    if (this.#lost === undefined) {
      this.#lostBegun = this.held
      this.#lost = new AbortController()
    }
    return this.#lost.signal
  }

  async acquire(options) {
    checkThis(this)
    await this.#acquire({ ...this.#defaults, ...checkWait(options, ACQUIRE_OPTIONS), isTry: false })
    return this
  }

  async tryAcquire(options) {
    checkThis(this)
    const wait = { ...this.#defaults, ...checkLockOptions(options, TRY_ACQUIRE_OPTIONS), timeout: 0, isTry: true }
    return (await this.#acquire(wait)) !== undefined
  }

  async release() {
    checkThis(this)
    if (this.#hold === undefined) throw notHeldError(this.#name)
    const lost = await this.#end(this.#hold)
    if (lost !== undefined) throw lost
  }

  async run(task, options) {
    checkThis(this)
    checkTask(task)
    const wait = { ...this.#defaults, ...checkWait(options, ACQUIRE_OPTIONS), isTry: false }
    const hold = await this.#acquire(wait)
    let result
    try {
      // The signal may have fired after the lock was granted.
      if (wait.signal?.aborted) throw new AbortError(wait.signal.reason, this.#name)
      result = await callTask(this, this.#sessions, task)
    } catch (error) {
      await this.#end(hold)
      throw error
    }
    const lost = await this.#end(hold)
    if (lost !== undefined) throw lost
    return result
  }

  async isLocked() {
    checkThis(this)
    if (this.#sessions.isHeld(this.#name)) return true
    const [[isLocked]] = await this.#ask(questionsOn(this.#name).isLocked)
    return isLocked === 't'
  }

  async holders() {
    checkThis(this)
    return holdersOf(await this.#ask(questionsOn(this.#name).holders))
  }

  async [ASYNC_DISPOSE]() {
    checkThis(this)
    if (this.#hold !== undefined) await this.#end(this.#hold)
  }

  [INSPECT](_depth, options, inspect) {
    // A wrapper, which has no private fields.
    if (!isPostgresLock(this)) return this
    return `PostgresLock ${inspect({ name: this.name, held: this.held }, options)}`
  }

  /** Acquires the lock, and tells the subscribers. Resolves to the hold; to undefined if a try is refused. */
  #acquire(wait) {
    if (!isTraced()) return this.#obtain(wait)
    return traced(this.#name, wait, async (setToken) => {
      const hold = await this.#obtain(wait)
      if (hold !== undefined) setToken(hold.token)
      return hold
    })
  }

  #obtain(wait) {
    const run = wait.isTry ? undefined : enclosingRun({ path: this.#name, protocol: this.#sessions })
    const request = { ...wait, limit: this.#limit, handle: this, run, begin: (hold) => this.#begin(hold) }
    return awaited(this.#sessions.entry(this.#name).request(request), run)
  }

  #begin(hold) {
    hold.onLost = (error) => this.#lose(hold, error)
    this.#hold = hold
    this.#token = hold.token
    if (this.#lost !== undefined) {
      // A signal that was read before belongs to the next acquisition, and to no other.
      if (this.#lostBegun) this.#lost = undefined
      this.#lostBegun = true
    }
  }

  /** Ends an acquisition, unless it has ended. Resolves to its error if it was lost, and never rejects. */
  async #end(hold) {
    // The task of a run() may have released it, and acquired it again.
    if (this.#hold !== hold) return undefined
    this.#hold = undefined
    if (hold.error !== undefined) return hold.error
    try {
      await awaited(hold.entry.release(hold))
    } catch (error) {
      if (this.#hold === undefined) this.#lose(hold, error)
      return error
    }
    if (this.#hold === undefined) this.#lost = undefined
    tellReleased(this.#name, hold.token)
    return undefined
  }

  /** Tells, by the signal `lost`, that the present acquisition is lost. */
  #lose(hold, error) {
    hold.error = error
    this.#lost ??= new AbortController()
    this.#lostBegun = true
    this.#lost.abort(error)
  }

  #ask(question) {
    return awaited(this.#sessions.ask(this.#name, question, this.#limit))
  }

  static {
    isPostgresLock = (value) => value !== null && typeof value === 'object' && #name in value
  }
}

/** Waits for what the caller awaits: keeps the process alive, which sessions do not. `run`: see Entry.request(). */
async function awaited(promise, run) {
  keepAlive()
  const forgetRun = run && watch(run)
  try {
    return await promise
  } catch (error) {
    // The stack leads to the caller's `await` from here.
    Error.captureStackTrace(error)
    throw error
  } finally {
    forgetRun?.()
    letGo()
  }
}

/** Throws if a method was called without its object, or on another one, such as a proxy. */
function checkThis(self) {
  if (!isPostgresLock(self)) throw wrongThis('PostgresLock', 'lock.acquire()')
}

function postgresLock(name, options) {
  return new PostgresLock(name, options)
}

module.exports = { PostgresLock, postgresLock }
