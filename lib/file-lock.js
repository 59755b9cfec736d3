'use strict'

const { checkOptions, checkPath, checkTask, checkWait, DEFAULT_FILE_MODE, NONE } = require('./arguments.js')
const { isByExistence } = require('./by-existence.js')
const { captureCall, forgetCall, withCall } = require('./call-stack.js')
const { AbortError, failureError, lostError, notHeldError, unsupportedError } = require('./errors.js')
const { wrongThis } = require('./invalid.js')
const native = require('./native.js')
const { callTask, enclosingRun, holds, watch } = require('./nested-runs.js')
const { onAbort } = require('./signals.js')
const { isTraced, tellReleased, traced, tracedSync } = require('./tracing.js')

const LOCK_FILE_OPTIONS = [
  ...['timeout', 'mode', 'fileMode', 'removeOnRelease', 'allowDirectory'],
  ...['protocol', 'stale', 'update'],
]
const ACQUIRE_OPTIONS = ['timeout', 'mode', 'signal']
const ACQUIRE_SYNC_OPTIONS = ['timeout', 'mode']
const TRY_ACQUIRE_OPTIONS = ['mode', 'signal']
const TRY_ACQUIRE_SYNC_OPTIONS = ['mode']

// Node lacks these symbols before 20.4, and in the contexts of node:vm, where test runners run code. Compiled `using`
// then looks for the registered ones.
const DISPOSE = Symbol.dispose ?? Symbol.for('Symbol.dispose')
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')

/** The method that util.inspect() calls. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/**
 * Keeps structuredClone() and postMessage() from making an empty object of a handle: a symbol cannot be cloned. (Newer
 * versions of Node have markAsUncloneable() for this, in a module that takes longer to load than this whole package.)
 */
const UNCLONEABLE = Symbol('a FileLock cannot be cloned: call lockFile(path) where it is needed')

/** Frees the native part of a handle after the handle itself. */
const registry = new FinalizationRegistry(native.forgetHandle)

/** What watches over the locks by existence that are held, once there was one. */
let existence

/** When the native part deletes the lock file, other than never. */
const REMOVED_ON_RELEASE = 1
const REMOVED_WHEN_UNUSED = 2

/** The place of the number of permits in the arguments that create the native part. */
const PERMITS = 7

/** Returns true for an object that the constructor has made, false for a proxy of one. */
let isFileLock

/** Returns the descriptor of the locked file, if a child process can inherit the lock by it. For bin/, not public. */
let descriptorOf

/**
 * Resolves to the processes that wait for a lock in the kernel, as holders() does to those that hold it. A process is
 * listed for the first in its queue, and not at all if it tries at intervals. For bin/, not public.
 */
let waitersOf

/**
 * Returns a FileLock for other parts of this package, with what they alone need. `whenUnused`: the lock file is the package's
 * own, and is deleted when nobody uses it any more. `onLost` is called when the lock was stolen while it was held. `permits`:
 * the path names a semaphore with so many, and the lock is one of its permits.
 */
let internalLock

/**
 * Acquires the lock of an internal FileLock from whatever holds it in this process, before all that wait for it. Resolves to
 * false if another process holds it.
 */
let steal

/**
 * What lockFiles() does with each of its FileLocks. A `wait` may have two options more: `limit`, its longest wait, where the
 * `timeout` that errors name is that of all files; and `file`, the number of the only file to wait for. A wait for that resolves
 * to false if the path names another file, and a try if it is refused.
 */
let members

// The types and the documentation of the methods are in index.d.ts, where editors show them.

class FileLock {
  uncloneable = UNCLONEABLE

  /** The arguments that create the native part. */
  #parts
  /** What is called when the lock was stolen, if anybody can steal it. */
  #onLost
  /** The number of the native part, which is created when it is first needed. */
  #handle
  /** The options of a wait without any. */
  #defaults
  /** The id of the last wait. */
  #lastId = 0
  /** The controller of the signal `lost`, once that has been read. */
  #lost
  /** Whether `#lost` belongs to an acquisition that has begun, not to the next one. */
  #lostBegun = false

  constructor(path, options) {
    const {
      timeout = Infinity,
      mode = 'exclusive',
      fileMode = DEFAULT_FILE_MODE,
      removeOnRelease = false,
      allowDirectory = false,
      protocol,
      stale,
      update,
    } = checkOptions(options, LOCK_FILE_OPTIONS)
    if (protocol !== undefined || stale !== undefined || update !== undefined) {
      require('./protocols.js').checkProtocol(protocol ?? 'flock', { stale, update, removeOnRelease, allowDirectory })
    }
    const checked = checkPath(path)
    this.#defaults = { path: checked.path, timeout, shared: mode === 'shared', signal: undefined, protocol: undefined }
    this.#parts = [checked.bytes ?? checked.path, fileMode, removeOnRelease ? REMOVED_ON_RELEASE : 0, allowDirectory]
    if (protocol !== undefined && protocol !== 'flock') {
      this.#defaults.protocol = protocol
      this.#parts.push(protocol, stale, update)
    }
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
      this.#lostBegun = this.held
      this.#lost = new AbortController()
    }
    return this.#lost.signal
  }

  acquire(options) {
    try {
      checkThis(this)
      return this.#acquire(this.#newId(), this.#wait(checkWait(options, ACQUIRE_OPTIONS)), false)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  acquireSync(options) {
    checkThis(this)
    return this.#acquireSync(this.#wait(checkWait(options, ACQUIRE_SYNC_OPTIONS)), false)
  }

  tryAcquire(options) {
    try {
      checkThis(this)
      return this.#acquire(this.#newId(), this.#wait(checkOptions(options, TRY_ACQUIRE_OPTIONS), 0), true)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  tryAcquireSync(options) {
    checkThis(this)
    return this.#acquireSync(this.#wait(checkOptions(options, TRY_ACQUIRE_SYNC_OPTIONS), 0), true)
  }

  release() {
    checkThis(this)
    const outcome = native.release(this.#native())
    if (outcome === undefined || outcome.reason === 'others') throw notHeldError(this.path, outcome?.holders)
    const lost = this.#end(outcome)
    if (lost !== undefined) throw lost
  }

  async run(task, options) {
    checkThis(this)
    checkTask(task)
    const wait = this.#wait(checkWait(options, ACQUIRE_OPTIONS))
    const id = this.#newId()
    await this.#acquire(id, wait, false)
    let result
    try {
      // The signal may have fired after the lock was granted.
      if (wait.signal?.aborted) throw new AbortError(wait.signal.reason, wait.path)
      result = await callTask(this, wait.protocol, task)
    } catch (error) {
      this.#dispose(id)
      throw error
    }
    // With the id: the task may have released the lock, and the handle may have been acquired again.
    const lost = this.#dispose(id)
    if (lost !== undefined) throw lost
    return result
  }

  async isLocked() {
    checkThis(this)
    return this.#answer(await native.isLocked(this.#native(), this.#newId()))
  }

  async breakLock() {
    checkThis(this)
    if (!this.#isByExistence()) {
      throw unsupportedError(
        this.path,
        `cannot break ${this.path}: the kernel keeps its lock, and releases it when its holder ends`,
      )
    }
    return this.#answer(await native.breakLock(this.#native(), this.#newId()))
  }

  async holders() {
    checkThis(this)
    return this.#answer(await native.holders(this.#native(), this.#newId()))
  }

  [DISPOSE]() {
    checkThis(this)
    this.#dispose()
  }

  async [ASYNC_DISPOSE]() {
    checkThis(this)
    this.#dispose()
  }

  [INSPECT](_depth, options, inspect) {
    // A wrapper, which has no private fields.
    if (!isFileLock(this)) return this
    return `FileLock ${inspect({ path: this.path, held: this.held }, options)}`
  }

  /** Returns the answer of the native part to a question, or throws its failure. */
  #answer(answer) {
    if (answer?.reason !== undefined) throw failureError(answer, this.#identity())
    return answer
  }

  /** Returns what errors say of this lock. */
  #identity() {
    const { path, protocol } = this.#defaults
    return { path, protocol }
  }

  /** Returns true if this lock is kept by the existence of its entry, which others can remove. */
  #isByExistence() {
    return isByExistence(this.#defaults.protocol)
  }

  /** Returns true if this lock can be lost while it is held, without an error of this process. */
  #canBeLost() {
    return this.#onLost !== undefined || this.#isByExistence()
  }

  /** Returns the number of the native part. */
  #native() {
    if (this.#handle === undefined) {
      // Before anything is acquired: it may fail for lack of descriptors.
      if (this.#canBeLost()) existence ??= require('./existence.js').watchOver(native)
      this.#handle = native.createHandle(...this.#parts)
      registry.register(this, this.#handle)
    }
    return this.#handle
  }

  /** Returns an id that no pending wait of this handle has. */
  #newId() {
    this.#lastId = (this.#lastId + 1) >>> 0
    return this.#lastId
  }

  /** Returns the options of one wait: its own, and the handle's. */
  #wait(options, timeout = this.#defaults.timeout) {
    let wait = this.#defaults
    if (options !== NONE || timeout !== wait.timeout) {
      const { mode, ...own } = options
      const shared = mode === undefined ? wait.shared : mode === 'shared'
      wait = { ...wait, timeout, shared, ...own }
    }
    if (wait.shared && this.#isByExistence()) {
      throw unsupportedError(
        wait.path,
        `cannot share ${wait.path}: the protocol '${wait.protocol}' has no shared locks`,
      )
    }
    return wait
  }

  /** Waits for the lock, and tells the subscribers. Resolves to this handle; a try resolves to true or false. */
  #acquire(id, wait, isTry) {
    return isTraced()
      ? traced(this, wait, (setAcquisition) => this.#obtain(id, wait, isTry, setAcquisition))
      : this.#obtain(id, wait, isTry, undefined)
  }

  #acquireSync(wait, isTry) {
    return isTraced()
      ? tracedSync(this, wait, (setAcquisition) => this.#obtainSync(wait, isTry, setAcquisition))
      : this.#obtainSync(wait, isTry, undefined)
  }

  #obtain(id, wait, isTry, setAcquisition) {
    const run = isTry ? undefined : enclosingRun(wait)
    return this.#finish(this.#start(id, wait, isTry, run), id, wait, isTry, run, setAcquisition)
  }

  /** Finishes a wait, which has `started`. */
  async #finish(started, id, wait, isTry, run, setAcquisition) {
    const call = started && captureCall()
    let failure
    try {
      failure = await started
    } finally {
      forgetCall(call)
    }
    if (failure !== undefined) {
      if (isRefusal(failure, isTry)) return false
      throw withCall(failureError(failure, wait, run !== undefined && holds(run)), call)
    }
    this.#begin(native.receive(this.#handle, id), setAcquisition)
    return isTry || this
  }

  #obtainSync(wait, isTry, setAcquisition) {
    const outcome = native.acquireSync(this.#native(), wait.shared, wait.limit ?? wait.timeout, !isTry, wait.file)
    return this.#finishSync(outcome, wait, isTry, setAcquisition)
  }

  #finishSync(outcome, wait, isTry, setAcquisition) {
    if (typeof outcome !== 'number') {
      if (isRefusal(outcome, isTry)) return false
      throw failureError(outcome, wait, !isTry && enclosingRun(wait) !== undefined)
    }
    this.#begin(outcome, setAcquisition)
    return isTry || this
  }

  /** Begins the acquisition of this number. `setAcquisition` tells the number to the subscribers. */
  #begin(acquisition, setAcquisition) {
    setAcquisition?.(acquisition)
    if (this.#lost !== undefined) {
      // A signal that was read before belongs to the next acquisition, and to no other.
      if (this.#lostBegun) this.#lost = undefined
      this.#lostBegun = true
    }
    if (this.#canBeLost()) {
      const lose = this.#onLost ? () => this.#tellStolen(acquisition) : () => this.#lose(lostError(this.#identity()))
      // Stolen before it was received.
      if (acquisition === undefined) lose()
      else existence.addHold(this.#handle, acquisition, lose)
    }
  }

  /**
   * Releases what this handle holds, if anything; with `id`, only what that wait has acquired. With `keepsFile`, a file that is
   * deleted on release stays. Returns the error if it was lost.
   */
  #dispose(id, keepsFile) {
    if (this.#handle === undefined) return undefined
    const outcome = native.dispose(this.#handle, id, keepsFile)
    return outcome === undefined ? undefined : this.#end(outcome)
  }

  /** Ends an acquisition. `outcome` is its number, or the failure: it was lost, or its entry is left. Returns its error. */
  #end(outcome) {
    if (this.#canBeLost()) existence?.removeHold(this.#handle, outcome)
    if (typeof outcome === 'number') {
      this.#lost = undefined
      tellReleased(this.path, outcome)
      return undefined
    }
    const error = failureError(outcome, this.#identity())
    if (outcome.reason === 'lost') this.#lose(error)
    else this.#lost = undefined
    return error
  }

  /** Tells that the lock was stolen, to the subscribers too: its release tells them nothing. */
  #tellStolen(acquisition) {
    if (acquisition !== undefined) tellReleased(this.path, acquisition)
    this.#onLost()
  }

  /** Tells, by the signal `lost`, that the present acquisition is lost. */
  #lose(error) {
    this.#lost ??= new AbortController()
    this.#lostBegun = true
    this.#lost.abort(error)
  }

  /** Starts a wait. Returns its failure, undefined for the lock, or a promise of either. */
  #start(id, wait, isTry, run) {
    if (wait.signal !== undefined || run !== undefined) return this.#startWatched(id, wait, isTry, run)
    return native.acquire(this.#native(), id, wait.shared, wait.limit ?? wait.timeout, !isTry, wait.file)
  }

  /** Starts a wait that a signal may end, or that begins inside `run`, a run() that holds the lock. */
  async #startWatched(id, { shared, timeout, limit = timeout, signal, file }, isTry, run) {
    if (signal?.aborted) return { reason: 'aborted' }
    const handle = this.#native()
    const forgetSignal = signal && onAbort(signal, () => native.cancel(handle, id))
    const forgetRun = run && watch(run)
    try {
      return await native.acquire(handle, id, shared, limit, !isTry, file)
    } finally {
      forgetSignal?.()
      forgetRun?.()
    }
  }

  static {
    isFileLock = (value) => value !== null && typeof value === 'object' && #parts in value
    descriptorOf = (lock) => (lock.#handle === undefined ? undefined : native.descriptor(lock.#handle))
    internalLock = (path, options, { whenUnused, onLost, permits }) => {
      const lock = new this(path, options)
      if (whenUnused) lock.#parts[2] = REMOVED_WHEN_UNUSED
      lock.#onLost = onLost
      if (permits !== undefined) {
        lock.#parts[PERMITS] = permits
        lock.#defaults.permits = permits
      }
      return lock
    }
    steal = async (lock) => {
      const wait = { ...lock.#defaults, timeout: 0, shared: false }
      const take = async (setAcquisition) => {
        const id = lock.#newId()
        const failure = await native.steal(lock.#native(), id)
        if (failure?.reason === 'timeout') return false
        if (failure !== undefined) throw failureError(failure, wait)
        lock.#begin(native.receive(lock.#handle, id), setAcquisition)
        return true
      }
      return isTraced() ? traced(lock, wait, take) : take()
    }
    members = {
      waitOf: (lock, options) => lock.#wait(options),
      newId: (lock) => lock.#newId(),
      acquire: (lock, id, wait) => lock.#acquire(id, wait, false),
      acquireSync: (lock, wait) => lock.#acquireSync(wait, false),
      try(lock, id, wait) {
        if (wait.signal !== undefined || isTraced()) return lock.#acquire(id, { ...wait, timeout: 0 }, true)
        const started = native.acquire(lock.#native(), id, wait.shared, 0, false)
        if (started !== undefined) return lock.#finish(started, id, wait, true)
        // At once: a promise for each of many files would take longer than their locks.
        lock.#begin(native.receive(lock.#handle, id))
        return true
      },
      trySync(lock, wait) {
        if (isTraced()) return lock.#acquireSync({ ...wait, timeout: 0 }, true)
        const outcome = native.acquireSync(lock.#native(), wait.shared, 0, false)
        return lock.#finishSync(outcome, wait, true, undefined) === true
      },
      release: (lock, id, keepsFile) => lock.#dispose(id, keepsFile),
      fileNumber: (lock) => native.fileNumber(lock.#native()),
    }
    waitersOf = async (lock) => lock.#answer(await native.waiters(lock.#native(), lock.#newId()))
  }
}

/** Returns true if a wait has ended without an error: a try was refused, or the path names another file than `wait.file`. */
const isRefusal = ({ reason }, isTry) => reason === 'replaced' || (isTry && reason === 'timeout')

/** Throws if a method was called without its object, or on another one, such as a proxy. */
function checkThis(self) {
  if (!isFileLock(self)) throw wrongThis('FileLock', 'lock.acquire()')
}

function lockFile(path, options) {
  return new FileLock(path, options)
}

module.exports = {
  FileLock,
  INSPECT,
  LOCK_FILE_OPTIONS,
  lockFile,
  descriptorOf,
  waitersOf,
  internalLock,
  members,
  steal,
}
