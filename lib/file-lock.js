'use strict'

const { isMainThread } = require('node:worker_threads')

const { Environment, NativeLock } = require('../native.js')
const { checkOptions, checkPath, checkTask, DEFAULT_FILE_MODE } = require('./arguments.js')
const { LockError, refusalError } = require('./errors.js')

const LOCK_FILE_OPTIONS = ['timeout', 'mode', 'fileMode', 'removeOnRelease']
const ACQUIRE_OPTIONS = ['timeout', 'mode', 'signal']
const ACQUIRE_SYNC_OPTIONS = ['timeout', 'mode']
const TRY_ACQUIRE_OPTIONS = ['mode', 'signal']
const TRY_ACQUIRE_SYNC_OPTIONS = ['mode']

// Node 20 has these symbols from 20.4 on only. Without them there is no `using` to call the methods.
const DISPOSE = Symbol.dispose ?? Symbol('Symbol.dispose')
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol('Symbol.asyncDispose')

const environment = new Environment(isMainThread)

/** Only lockFile() knows it, so only lockFile() can make a FileLock. */
const CONSTRUCT = Symbol('lockFile')

/** The last number given to a wait of this environment. */
let lastId = 0

// The types, and what the methods promise, are in index.d.ts: that is where people read them.

class FileLock {
  #native
  #defaults

  constructor(key, path, options) {
    if (key !== CONSTRUCT) {
      throw Object.assign(new TypeError('Illegal constructor: use lockFile()'), { code: 'ERR_ILLEGAL_CONSTRUCTOR' })
    }
    const {
      timeout = Infinity,
      mode = 'exclusive',
      fileMode,
      removeOnRelease,
    } = checkOptions(options, LOCK_FILE_OPTIONS)
    const checked = checkPath(path)
    this.#defaults = { timeout, mode }
    this.#native = new NativeLock(environment, checked.bytes, fileMode ?? DEFAULT_FILE_MODE, removeOnRelease ?? false)
    Object.defineProperty(this, 'path', { value: checked.path, enumerable: true })
  }

  get held() {
    return this.#native.held
  }

  async acquire(options) {
    const wait = this.#wait(options, ACQUIRE_OPTIONS)
    const refusal = await this.#start(++lastId, wait)
    if (refusal !== undefined) throw refusalError(refusal, wait)
    return this
  }

  acquireSync(options) {
    const wait = this.#wait(options, ACQUIRE_SYNC_OPTIONS)
    const refusal = this.#native.acquireSync(wait.shared, wait.timeout)
    if (refusal) throw refusalError(refusal, wait)
    return this
  }

  async tryAcquire(options) {
    const wait = this.#wait(options, TRY_ACQUIRE_OPTIONS, 0)
    const refusal = await this.#start(++lastId, wait)
    if (refusal !== undefined && refusal.reason !== 'timeout') throw refusalError(refusal, wait)
    return refusal === undefined
  }

  tryAcquireSync(options) {
    const wait = this.#wait(options, TRY_ACQUIRE_SYNC_OPTIONS, 0)
    const refusal = this.#native.acquireSync(wait.shared, wait.timeout)
    if (refusal && refusal.reason !== 'timeout') throw refusalError(refusal, wait)
    return !refusal
  }

  release() {
    if (!this.#native.release()) {
      throw new LockError('ERR_LOCK_NOT_HELD', `cannot release unlocked lock ${this.path}`, this.path)
    }
  }

  async run(task, options) {
    checkTask(task)
    const wait = this.#wait(options, ACQUIRE_OPTIONS)
    const id = ++lastId
    const refusal = await this.#start(id, wait)
    if (refusal !== undefined) throw refusalError(refusal, wait)
    try {
      return await task(this)
    } finally {
      // Of this acquisition alone: the task may have released it, and the handle may have been acquired again.
      this.#native.dispose(id)
    }
  }

  async isLocked() {
    const answer = await this.#native.isLocked(++lastId)
    if (typeof answer !== 'boolean') throw refusalError(answer, this)
    return answer
  }

  [DISPOSE]() {
    this.#native.dispose()
  }

  async [ASYNC_DISPOSE]() {
    this.#native.dispose()
  }

  /** The options of one wait, over the handle's own. */
  #wait(options, known, timeout = this.#defaults.timeout) {
    const { mode = this.#defaults.mode, ...own } = checkOptions(options, known)
    return { path: this.path, timeout, shared: mode === 'shared', ...own }
  }

  /** Starts a wait. Resolves to undefined when the lock is held, or to why it is not. */
  #start(id, wait) {
    const { shared, timeout, signal } = wait
    return signal === undefined ? this.#native.acquire(id, shared, timeout) : this.#startAbortable(id, wait)
  }

  async #startAbortable(id, { shared, timeout, signal }) {
    if (signal.aborted) return { reason: 'aborted' }
    const abort = () => environment.cancel(id)
    signal.addEventListener('abort', abort, { once: true })
    try {
      return await this.#native.acquire(id, shared, timeout)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }
}

function lockFile(path, options) {
  return new FileLock(CONSTRUCT, path, options)
}

module.exports = { FileLock, lockFile }
