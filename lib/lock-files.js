'use strict'

// The locks of several files at once, all or none. Each is that of a FileLock. How they are acquired is in acquisition.js.
// Loaded when it is first needed.

const { Acquisition, ASYNC, SYNC } = require('./acquisition.js')
const { FileLock, internals, LockError } = require('./index.js')
const { wrongThis, wrongType, wrongValue } = require('./invalid.js')

const { failureError, LOCK_FILE_OPTIONS } = internals
const { captureCall, forgetCall, withCall } = internals.callStack
const { CHECKS, checkOptions, checkPath, checkTask, checkWait } = internals.checks

const ACQUIRE_OPTIONS = ['timeout', 'mode', 'signal']
const ACQUIRE_SYNC_OPTIONS = ['timeout', 'mode']
const TRY_ACQUIRE_OPTIONS = ['mode', 'signal']
const TRY_ACQUIRE_SYNC_OPTIONS = ['mode']
const FILE_OPTIONS = ['path', 'mode']

// See file-lock.js.
const DISPOSE = Symbol.dispose ?? Symbol.for('Symbol.dispose')
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')
const INSPECT = Symbol.for('nodejs.util.inspect.custom')
const UNCLONEABLE = Symbol('FileLocks cannot be cloned: call lockFiles(paths) where they are needed')

/** Returns true for an object that the constructor has made, false for a proxy of one. */
let isFileLocks

// The types and the documentation of the methods are in index.d.ts, where editors show them.

class FileLocks {
  uncloneable = UNCLONEABLE

  #paths
  /** The files, in the order in which they are tried. */
  #files
  /** The acquisition that is held. */
  #acquisition
  /** The controller of the signal `lost`, once that has been read. */
  #lost
  /** Whether `#lost` belongs to an acquisition that has begun, not to the next one. */
  #lostBegun = false

  constructor(paths, options) {
    const files = checkPaths(paths)
    const checked = options === undefined ? undefined : checkOptions(options, LOCK_FILE_OPTIONS)
    this.#files = files.map(({ path, mode }) => ({
      lock: new FileLock(path, mode === undefined ? checked : { ...checked, mode }),
      hasMode: mode !== undefined,
      isRemoved: checked?.removeOnRelease ?? false,
      number: undefined,
    }))
    this.#paths = Object.freeze(this.#files.map(({ lock }) => lock.path))
  }

  get paths() {
    checkThis(this)
    return this.#paths
  }

  get held() {
    checkThis(this)
    return this.#acquisition?.isHeld() ?? false
  }

  get lost() {
    checkThis(this)
    if (this.#lost === undefined) {
      this.#lost = new AbortController()
      this.#lostBegun = this.#acquisition !== undefined
      this.#acquisition?.onLost(this.#lost)
    }
    return this.#lost.signal
  }

  acquire(options) {
    try {
      checkThis(this)
      return this.#acquire(checkWait(options, ACQUIRE_OPTIONS), false, () => this)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  acquireSync(options) {
    checkThis(this)
    this.#acquireSync(checkWait(options, ACQUIRE_SYNC_OPTIONS))
    return this
  }

  tryAcquire(options) {
    try {
      checkThis(this)
      return this.#acquire(checkOptions(options, TRY_ACQUIRE_OPTIONS), true, isAcquired)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  tryAcquireSync(options) {
    checkThis(this)
    return isAcquired(this.#acquireSync(checkOptions(options, TRY_ACQUIRE_SYNC_OPTIONS), true))
  }

  release() {
    checkThis(this)
    if (this.#acquisition === undefined) throw notHeldError(this.#paths)
    const error = this.#end(this.#acquisition)
    if (error !== undefined) throw error
  }

  async run(task, options) {
    checkThis(this)
    checkTask(task)
    const wait = checkWait(options, ACQUIRE_OPTIONS)
    const acquisition = await this.#acquire(wait, false, (acquired) => acquired)
    let result
    try {
      // The signal may have fired after the last lock was granted.
      if (wait.signal?.aborted) throw failureError({ reason: 'aborted' }, { path: this.#paths[0], signal: wait.signal })
      result = await acquisition.call(() => task(this))
    } catch (error) {
      this.#end(acquisition)
      throw error
    }
    // The task may have released the locks, and the handle may have been acquired again.
    const error = this.#end(acquisition)
    if (error !== undefined) throw error
    return result
  }

  async isLocked() {
    checkThis(this)
    const answers = await Promise.all(this.#files.map(({ lock }) => lock.isLocked()))
    return answers.includes(true)
  }

  async holders() {
    checkThis(this)
    const answers = await Promise.all(this.#files.map(({ lock }) => lock.holders()))
    return answers.includes(undefined) ? undefined : unite(answers.flat())
  }

  [DISPOSE]() {
    checkThis(this)
    if (this.#acquisition !== undefined) this.#end(this.#acquisition)
  }

  async [ASYNC_DISPOSE]() {
    this[DISPOSE]()
  }

  [INSPECT](_depth, options, inspect) {
    // A wrapper, which has no private fields.
    if (!isFileLocks(this)) return this
    return `FileLocks ${inspect({ paths: this.paths, held: this.held }, options)}`
  }

  /** Acquires all locks. Resolves to what `toResult` makes of the acquisition, which is undefined if a try was refused. */
  async #acquire(options, isTry, toResult) {
    const acquisition = new Acquisition(this.#files, options, isTry, ASYNC)
    const steps = acquisition.steps()
    let step = steps.next()
    const call = step.done ? undefined : captureCall()
    try {
      while (!step.done) {
        try {
          step = steps.next(await step.value)
        } catch (error) {
          step = steps.throw(error)
        }
      }
    } catch (error) {
      throw withCall(error, call)
    } finally {
      forgetCall(call)
    }
    return toResult(step.value ? this.#begin(acquisition) : undefined)
  }

  #acquireSync(options, isTry = false) {
    const acquisition = new Acquisition(this.#files, options, isTry, SYNC)
    return acquisition.steps().next().value ? this.#begin(acquisition) : undefined
  }

  #begin(acquisition) {
    this.#acquisition = acquisition
    if (this.#lost !== undefined) {
      // A signal that was read before belongs to the next acquisition, and to no other.
      if (this.#lostBegun) this.#lost = undefined
      else acquisition.onLost(this.#lost)
      this.#lostBegun = true
    }
    return acquisition
  }

  /** Releases what is held of `acquisition`. Returns an error: a lock was lost, or what keeps it could not be removed. */
  #end(acquisition) {
    const errors = acquisition.release()
    const lost = errors.find(({ code }) => code === 'ERR_LOCK_LOST')
    if (this.#acquisition === acquisition) {
      this.#acquisition = undefined
      if (lost === undefined) this.#lost = undefined
      else this.#lose(lost)
    }
    return lost ?? errors[0]
  }

  /** Tells, by the signal `lost`, that the present acquisition is lost. */
  #lose(error) {
    this.#lost ??= new AbortController()
    this.#lostBegun = true
    this.#lost.abort(error)
  }

  static {
    isFileLocks = (value) => value !== null && typeof value === 'object' && #files in value
  }
}

const isAcquired = (acquisition) => acquisition !== undefined

/** Returns the processes of `holders`, each once. One that holds any of the locks exclusively counts as such. */
function unite(holders) {
  const processes = new Map()
  for (const holder of holders) {
    const key = `${holder.pid} ${holder.host ?? ''}`
    if (processes.get(key)?.mode !== 'exclusive') processes.set(key, holder)
  }
  return [...processes.values()]
}

function notHeldError([path, ...others]) {
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  return new LockError(`cannot release unlocked lock ${path}${more}`, { code: 'ERR_LOCK_NOT_HELD', path })
}

/** Returns the absolute path of each file, and the mode that it has of its own. */
function checkPaths(paths) {
  if (!Array.isArray(paths)) throw wrongType('paths', 'an instance of Array', paths)
  if (paths.length === 0) throw wrongValue('paths', 'must not be empty', paths)
  return Array.from(paths, (value, index) => checkFile(value, `paths[${index}]`))
}

function checkFile(value, name) {
  // Neither bytes nor a URL have a path.
  if (value === null || typeof value !== 'object' || value.path === undefined) return checkedPath(value, name)
  for (const key in value) {
    if (FILE_OPTIONS.includes(key) || value[key] === undefined || !Object.hasOwn(value, key)) continue
    throw wrongValue(`${name}.${key}`, `is unknown: a file has ${FILE_OPTIONS.join(', ')}`, value[key])
  }
  const { path, mode } = value
  if (mode !== undefined) CHECKS.mode(mode, `${name}.mode`)
  return { ...checkedPath(path, `${name}.path`), mode }
}

function checkedPath(value, name) {
  const { path, bytes } = checkPath(value, name)
  return { path: bytes ?? path }
}

/** Throws if a method was called without its object, or on another one, such as a proxy. */
function checkThis(self) {
  if (!isFileLocks(self)) throw wrongThis('FileLocks', 'locks.acquire()')
}

const lockFiles = (paths, options) => new FileLocks(paths, options)

module.exports = { lockFiles }
