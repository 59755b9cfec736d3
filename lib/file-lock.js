'use strict'

const { inspect } = require('node:util')

const { checkOptions, checkPath, checkTask, DEFAULT_FILE_MODE } = require('./arguments.js')
const { LockError, refusalError } = require('./errors.js')
const native = require('./native.js')
const { isTraced, tellReleased, traced, tracedSync } = require('./tracing.js')

const LOCK_FILE_OPTIONS = ['timeout', 'mode', 'fileMode', 'removeOnRelease']
const ACQUIRE_OPTIONS = ['timeout', 'mode', 'signal']
const ACQUIRE_SYNC_OPTIONS = ['timeout', 'mode']
const TRY_ACQUIRE_OPTIONS = ['mode', 'signal']
const TRY_ACQUIRE_SYNC_OPTIONS = ['mode']

// Node 20 has these symbols from 20.4 on only. Without them there is no `using` to call the methods.
const DISPOSE = Symbol.dispose ?? Symbol('Symbol.dispose')
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol('Symbol.asyncDispose')

/** As they are now: a signal whose own methods throw could keep a lock that was granted from its user. */
const { addEventListener, removeEventListener } = EventTarget.prototype

/** How a wait listens for its abort. Found out when it is first needed. */
let listening

/**
 * A listener that somebody else has added before ours may stop the event. Node calls those of its own functions all the
 * same, by a key in their options that nobody else has; but addAbortListener() (since 20.5) hands them to the signal that
 * it is given. It cannot be used itself, since it calls the methods that the user's signal has now. Not to be copied: in
 * Bun the key cannot be seen. Deno has none.
 */
function howToListen() {
  const { signal } = new AbortController()
  let options = { once: true }
  signal.addEventListener = (_type, _listener, given) => {
    options = given
  }
  require('node:events').addAbortListener?.(signal, () => {})
  return options
}

/** The native half of a handle goes when its JavaScript half has gone. */
const registry = new FinalizationRegistry(native.forgetHandle)

/** Only lockFile() knows it, so only lockFile() can make a FileLock. */
const CONSTRUCT = Symbol('lockFile')

/** The descriptor by which a lock is held, where a child can inherit the lock by it. Not public: for bin/. */
let descriptorOf

/**
 * Resolves to the processes that wait for a lock in the kernel, as holders() to those that hold it. Of a process with
 * several waits only the first in line is there, and none of one that tries at intervals. Not public: for bin/.
 */
let waitersOf

// The types, and what the methods promise, are in index.d.ts: that is where people read them.

class FileLock {
  /** The number by which the native part knows this handle. */
  #handle
  /** What a wait is like that no options are given for. */
  #defaults
  /** The number of the last wait. */
  #lastId = 0

  constructor(key, path, options) {
    if (key !== CONSTRUCT) {
      throw Object.assign(new TypeError('Illegal constructor: use lockFile()'), { code: 'ERR_ILLEGAL_CONSTRUCTOR' })
    }
    const {
      timeout = Infinity,
      mode = 'exclusive',
      fileMode = DEFAULT_FILE_MODE,
      removeOnRelease = false,
    } = checkOptions(options, LOCK_FILE_OPTIONS)
    const checked = checkPath(path)
    this.#defaults = { path: checked.path, timeout, shared: mode === 'shared', signal: undefined }
    this.#handle = native.createHandle(checked.bytes ?? checked.path, fileMode, removeOnRelease)
    registry.register(this, this.#handle)
  }

  get path() {
    return this.#defaults.path
  }

  get held() {
    return native.isHeld(this.#handle)
  }

  acquire(options) {
    return this.#obtain(this.#newId(), options)
  }

  acquireSync(options) {
    const wait = this.#wait(options, ACQUIRE_SYNC_OPTIONS)
    const acquire = () => {
      const result = native.acquireSync(this.#handle, wait.shared, wait.timeout)
      if (typeof result === 'number') return this
      throw refusalError(result, wait, result.reason === 'timeout' ? native.holdersSync(this.#handle) : undefined)
    }
    return isTraced() ? tracedSync(wait, acquire) : acquire()
  }

  tryAcquire(options) {
    return this.#attempt(this.#newId(), options)
  }

  tryAcquireSync(options) {
    const wait = this.#wait(options, TRY_ACQUIRE_SYNC_OPTIONS, 0)
    const attempt = () => {
      const result = native.acquireSync(this.#handle, wait.shared, wait.timeout)
      if (typeof result === 'number') return true
      if (result.reason !== 'timeout') throw refusalError(result, wait)
      return false
    }
    return isTraced() ? tracedSync(wait, attempt) : attempt()
  }

  release() {
    const ended = native.release(this.#handle)
    if (typeof ended === 'object') throw refusalError(ended, this)
    if (ended === undefined) {
      throw new LockError('ERR_LOCK_NOT_HELD', `cannot release unlocked lock ${this.path}`, this.path)
    }
    tellReleased(this.path)
  }

  async run(task, options) {
    checkTask(task)
    const id = this.#newId()
    await this.#obtain(id, options)
    try {
      return await task(this)
    } finally {
      // Of this acquisition alone: the task may have released it, and the handle may have been acquired again.
      this.#dispose(id)
    }
  }

  async isLocked() {
    const answer = await native.isLocked(this.#handle, this.#newId())
    if (typeof answer !== 'boolean') throw refusalError(answer, this)
    return answer
  }

  async holders() {
    return this.#processes(await native.holders(this.#handle, this.#newId(), false))
  }

  [DISPOSE]() {
    this.#dispose()
  }

  async [ASYNC_DISPOSE]() {
    this.#dispose()
  }

  [inspect.custom](_depth, options) {
    // Somebody's wrapper, which has no parts of ours.
    if (!(#handle in this)) return this
    return `FileLock ${inspect({ path: this.path, held: this.held }, options)}`
  }

  /** What the native part says of the processes that hold the lock, or wait for it; undefined if they are not known. */
  #processes(answer) {
    if (answer !== undefined && !Array.isArray(answer)) throw refusalError(answer, this)
    return answer
  }

  /** A number that no pending wait of this handle has. */
  #newId() {
    this.#lastId = (this.#lastId + 1) >>> 0
    return this.#lastId
  }

  /** The options of one wait, over the handle's own. */
  #wait(options, known, timeout = this.#defaults.timeout) {
    if (options === undefined && timeout === this.#defaults.timeout) return this.#defaults
    const { mode, ...own } = checkOptions(options, known)
    const shared = mode === undefined ? this.#defaults.shared : mode === 'shared'
    return { ...this.#defaults, timeout, shared, ...own }
  }

  /** Waits for the lock, in the wait `id`; if somebody wants to be told of it, by a second call of itself. */
  async #obtain(id, options, wait = this.#wait(options, ACQUIRE_OPTIONS), observed = isTraced()) {
    if (observed) return traced(wait, () => this.#obtain(id, options, wait, false))
    const refusal = await this.#start(id, wait)
    if (refusal?.reason === 'timeout') {
      throw refusalError(refusal, wait, await native.holders(this.#handle, id, true))
    }
    if (refusal !== undefined) throw refusalError(refusal, wait)
    native.receive(this.#handle, id)
    return this
  }

  /** Tries to get the lock once, likewise. Resolves to whether it did. */
  async #attempt(id, options, wait = this.#wait(options, TRY_ACQUIRE_OPTIONS, 0), observed = isTraced()) {
    if (observed) return traced(wait, () => this.#attempt(id, options, wait, false))
    const refusal = await this.#start(id, wait)
    if (refusal === undefined) native.receive(this.#handle, id)
    else if (refusal.reason !== 'timeout') throw refusalError(refusal, wait)
    return refusal === undefined
  }

  /** Releases what this handle itself holds, or only what the wait `id` has brought, if anything. */
  #dispose(id) {
    if (typeof native.dispose(this.#handle, id) === 'number') tellReleased(this.path)
  }

  /** Starts a wait. Resolves to undefined when the lock is held, or to why it is not. */
  #start(id, wait) {
    if (wait.signal !== undefined) return this.#startAbortable(id, wait)
    return native.acquire(this.#handle, id, wait.shared, wait.timeout)
  }

  async #startAbortable(id, { shared, timeout, signal }) {
    if (signal.aborted) return { reason: 'aborted' }
    const abort = () => native.cancel(this.#handle, id)
    listening ??= howToListen()
    addEventListener.call(signal, 'abort', abort, listening)
    try {
      return await native.acquire(this.#handle, id, shared, timeout)
    } finally {
      removeEventListener.call(signal, 'abort', abort)
    }
  }

  static {
    descriptorOf = (lock) => native.descriptor(lock.#handle)
    waitersOf = async (lock) => lock.#processes(await native.waiters(lock.#handle, lock.#newId()))
  }
}

function lockFile(path, options) {
  return new FileLock(CONSTRUCT, path, options)
}

module.exports = { FileLock, lockFile, descriptorOf, waitersOf }
