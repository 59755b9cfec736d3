'use strict'

const { inspect } = require('node:util')

const { checkOptions, checkPath, checkTask, checkWait, DEFAULT_FILE_MODE, NONE } = require('./arguments.js')
const { captureCall, forgetCall, withCall } = require('./call-stack.js')
const { AbortError, LockError, refusalError } = require('./errors.js')
const native = require('./native.js')
const { callTask, enclosingRun, holds, watch } = require('./nested-runs.js')
const { onAbort } = require('./signals.js')
const { isTraced, tellReleased, traced, tracedSync } = require('./tracing.js')

const LOCK_FILE_OPTIONS = ['timeout', 'mode', 'fileMode', 'removeOnRelease', 'allowDirectory']
const ACQUIRE_OPTIONS = ['timeout', 'mode', 'signal']
const ACQUIRE_SYNC_OPTIONS = ['timeout', 'mode']
const TRY_ACQUIRE_OPTIONS = ['mode', 'signal']
const TRY_ACQUIRE_SYNC_OPTIONS = ['mode']

// Node 20 has these symbols from 20.4 on only, and not in the contexts of node:vm, where test runners run code. What
// compilers make of `using` looks for these then.
const DISPOSE = Symbol.dispose ?? Symbol.for('Symbol.dispose')
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')

/**
 * What a handle has that cannot be cloned: a clone by structuredClone() or postMessage() would be an empty object. (Later
 * versions of Node have markAsUncloneable() for this, in a module that takes longer to load than all else here.)
 */
const UNCLONEABLE = Symbol('a FileLock cannot be cloned: call lockFile(path) where it is needed')

/** The native half of a handle goes when its JavaScript half has gone. */
const registry = new FinalizationRegistry(native.forgetHandle)

/** Returns true for an object that the constructor has made, and not for a proxy of it. */
let isFileLock

/** The descriptor by which a lock is held, where a child can inherit the lock by it. Not public: for bin/. */
let descriptorOf

/**
 * Resolves to the processes that wait for a lock in the kernel, as holders() to those that hold it. Of a process with
 * several waits only the first in line is there, and none of one that tries at intervals. Not public: for bin/.
 */
let waitersOf

// The types, and what the methods promise, are in index.d.ts: that is where people read them.

class FileLock {
  uncloneable = UNCLONEABLE

  /** What the native part of this handle is made of. */
  #parts
  /** The number by which the native part knows this handle. It is made when it is first needed. */
  #handle
  /** The options of a wait that is given none. */
  #defaults
  /** The number of the last wait. */
  #lastId = 0
  /** The source of the signal `lost`, once that has been read. */
  #lost
  /** Whether it belongs to an acquisition that has begun. */
  #lostBelongs = false

  constructor(path, options) {
    const {
      timeout = Infinity,
      mode = 'exclusive',
      fileMode = DEFAULT_FILE_MODE,
      removeOnRelease = false,
      allowDirectory = false,
    } = checkOptions(options, LOCK_FILE_OPTIONS)
    const checked = checkPath(path)
    this.#defaults = { path: checked.path, timeout, shared: mode === 'shared', signal: undefined }
    this.#parts = [checked.bytes ?? checked.path, fileMode, removeOnRelease, allowDirectory]
  }

  get path() {
    checkThis(this)
    return this.#defaults.path
  }

  get held() {
    checkThis(this)
    return this.#handle !== undefined && native.isHeld(this.#handle)
  }

  get lost() {
    checkThis(this)
    if (this.#lost === undefined) {
      this.#lostBelongs = this.held
      this.#lost = new AbortController()
    }
    return this.#lost.signal
  }

  acquire(options) {
    let wait
    try {
      checkThis(this)
      wait = this.#wait(checkWait(options, ACQUIRE_OPTIONS))
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#acquire(this.#newId(), wait)
  }

  acquireSync(options) {
    checkThis(this)
    const wait = this.#wait(checkWait(options, ACQUIRE_SYNC_OPTIONS))
    return isTraced() ? tracedSync(wait, (note) => this.#obtainSync(wait, note)) : this.#obtainSync(wait)
  }

  tryAcquire(options) {
    let wait
    try {
      checkThis(this)
      wait = this.#wait(checkOptions(options, TRY_ACQUIRE_OPTIONS), 0)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#acquire(this.#newId(), wait, true)
  }

  tryAcquireSync(options) {
    checkThis(this)
    const wait = this.#wait(checkOptions(options, TRY_ACQUIRE_SYNC_OPTIONS), 0)
    return isTraced() ? tracedSync(wait, (note) => this.#attemptSync(wait, note)) : this.#attemptSync(wait)
  }

  release() {
    checkThis(this)
    const outcome = native.release(this.#native())
    if (outcome === undefined) {
      throw new LockError(`cannot release unlocked lock ${this.path}`, { code: 'ERR_LOCK_NOT_HELD', path: this.path })
    }
    const lost = this.#end(outcome)
    if (lost !== undefined) throw lost
  }

  async run(task, options) {
    checkThis(this)
    checkTask(task)
    const wait = this.#wait(checkWait(options, ACQUIRE_OPTIONS))
    const id = this.#newId()
    await this.#acquire(id, wait)
    let result
    try {
      // Once more: the signal may have fired after the lock was granted.
      if (wait.signal?.aborted) throw new AbortError(wait.signal.reason, wait.path)
      result = await callTask(this, task)
    } catch (error) {
      this.#dispose(id)
      throw error
    }
    // Of this acquisition alone: the task may have released it, and the handle may have been acquired again.
    const lost = this.#dispose(id)
    if (lost !== undefined) throw lost
    return result
  }

  async isLocked() {
    checkThis(this)
    const answer = await native.isLocked(this.#native(), this.#newId())
    if (typeof answer !== 'boolean') throw refusalError(answer, this)
    return answer
  }

  async holders() {
    checkThis(this)
    return this.#processes(await native.holders(this.#native(), this.#newId(), false))
  }

  [DISPOSE]() {
    checkThis(this)
    this.#dispose()
  }

  async [ASYNC_DISPOSE]() {
    checkThis(this)
    this.#dispose()
  }

  [inspect.custom](_depth, options) {
    // Somebody's wrapper, which has no parts of ours.
    if (!isFileLock(this)) return this
    return `FileLock ${inspect({ path: this.path, held: this.held }, options)}`
  }

  /** What the native part says of the processes that hold the lock, or wait for it; undefined if they are not known. */
  #processes(answer) {
    if (answer !== undefined && !Array.isArray(answer)) throw refusalError(answer, this)
    return answer
  }

  /** Returns the number of the native part, which is made now if there is none yet. */
  #native() {
    if (this.#handle === undefined) {
      this.#handle = native.createHandle(...this.#parts)
      registry.register(this, this.#handle)
    }
    return this.#handle
  }

  /** A number that no pending wait of this handle has. */
  #newId() {
    this.#lastId = (this.#lastId + 1) >>> 0
    return this.#lastId
  }

  /** The options of one wait, over the handle's own. */
  #wait(options, timeout = this.#defaults.timeout) {
    if (options === NONE && timeout === this.#defaults.timeout) return this.#defaults
    const { mode, ...own } = options
    const shared = mode === undefined ? this.#defaults.shared : mode === 'shared'
    return { ...this.#defaults, timeout, shared, ...own }
  }

  /** Waits for the lock, in the wait `id`, and tells those who trace it. */
  #acquire(id, wait, tries) {
    return isTraced() ? traced(wait, (note) => this.#obtain(id, wait, tries, note)) : this.#obtain(id, wait, tries)
  }

  /**
   * Waits for the lock, in the wait `id`, and resolves to this handle. With `tries`, asks once, and resolves to whether the
   * lock is held. `note` is called with the number of the acquisition.
   */
  async #obtain(id, wait, tries = false, note = undefined) {
    const run = tries ? undefined : enclosingRun(wait.path)
    const started = this.#start(id, wait, run)
    const call = started && captureCall()
    let refusal
    try {
      refusal = await started
    } finally {
      forgetCall(call)
    }
    if (refusal !== undefined) {
      if (refusal.reason !== 'timeout') throw withCall(refusalError(refusal, wait), call)
      if (tries) return false
      const nested = run !== undefined && holds(run)
      const holders = known(await native.holders(this.#handle, id, true))
      throw withCall(refusalError(refusal, wait, holders, nested), call)
    }
    this.#begin(native.receive(this.#handle, id), note)
    return tries || this
  }

  #obtainSync(wait, note) {
    const outcome = native.acquireSync(this.#native(), wait.shared, wait.timeout)
    if (typeof outcome !== 'number') {
      if (outcome.reason !== 'timeout') throw refusalError(outcome, wait)
      throw refusalError(outcome, wait, known(native.holdersSync(this.#handle)), enclosingRun(wait.path) !== undefined)
    }
    this.#begin(outcome, note)
    return this
  }

  #attemptSync(wait, note) {
    const outcome = native.acquireSync(this.#native(), wait.shared, wait.timeout)
    if (typeof outcome !== 'number') return refused(outcome, wait)
    this.#begin(outcome, note)
    return true
  }

  /** This handle has got the acquisition of this number. */
  #begin(acquisition, note) {
    note?.(acquisition)
    if (this.#lost === undefined) return
    // A signal that was there before tells of the first acquisition that follows, and of no other.
    if (this.#lostBelongs) this.#lost = undefined
    this.#lostBelongs = true
  }

  /** Releases what this handle itself holds, or only what the wait `id` has brought, if anything. */
  #dispose(id) {
    if (this.#handle === undefined) return undefined
    const outcome = native.dispose(this.#handle, id)
    return outcome === undefined ? undefined : this.#end(outcome)
  }

  /**
   * An acquisition has ended: `outcome` is its number, or that it was lost. Returns the error that tells so, if it was.
   */
  #end(outcome) {
    if (typeof outcome === 'number') {
      this.#lost = undefined
      tellReleased(this.path, outcome)
      return undefined
    }
    const error = refusalError(outcome, this)
    this.#lost ??= new AbortController()
    this.#lostBelongs = true
    this.#lost.abort(error)
    return error
  }

  /**
   * Starts a wait. Returns undefined if the lock is held at once. Otherwise returns, or resolves to, undefined when the lock is
   * held, or why it is not.
   */
  #start(id, wait, run) {
    if (wait.signal !== undefined || run !== undefined) return this.#startWatched(id, wait, run)
    return native.acquire(this.#native(), id, wait.shared, wait.timeout)
  }

  /** Starts a wait that a signal may end, or that begins inside `run`, which holds the lock. */
  async #startWatched(id, { shared, timeout, signal }, run) {
    if (signal?.aborted) return { reason: 'aborted' }
    const handle = this.#native()
    const forgetSignal = signal && onAbort(signal, () => native.cancel(handle, id))
    const forgetRun = run && watch(run)
    try {
      return await native.acquire(handle, id, shared, timeout)
    } finally {
      forgetSignal?.()
      forgetRun?.()
    }
  }

  static {
    isFileLock = (value) => value !== null && typeof value === 'object' && #parts in value
    descriptorOf = (lock) => (lock.#handle === undefined ? undefined : native.descriptor(lock.#handle))
    waitersOf = async (lock) => lock.#processes(await native.waiters(lock.#native(), lock.#newId()))
  }
}

/** A method was called without its object, or on another, such as a proxy. */
function checkThis(self) {
  if (isFileLock(self)) return
  throw Object.assign(
    new TypeError('Value of "this" must be of type FileLock: call it as a method, as in lock.acquire()'),
    {
      code: 'ERR_INVALID_THIS',
    },
  )
}

/** The answer of a try that was refused: false if the lock is held. */
function refused(refusal, wait) {
  if (refusal.reason !== 'timeout') throw refusalError(refusal, wait)
  return false
}

/** The holders, or undefined where the native part says why it does not know. */
const known = (holders) => (Array.isArray(holders) ? holders : undefined)

function lockFile(path, options) {
  return new FileLock(path, options)
}

module.exports = { FileLock, lockFile, descriptorOf, waitersOf }
