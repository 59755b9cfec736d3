'use strict'

// The locks of several files at once, all or none. Each is that of a FileLock. Loaded when it is first needed.
//
// Nobody waits for ever for others that do the same: whoever waits for a file holds only files with lower numbers, and the
// numbers of files have the same order in all processes. A file has to be found before its number is known. So all files are
// tried first, without waiting. If one of them is not free, those that were acquired are given back, and all are waited for in
// the order of their numbers.

const { captureCall, forgetCall, withCall } = require('./call-stack.js')
const { FileLock, internals, LockError } = require('./index.js')
const { wrongType, wrongValue } = require('./invalid.js')

const { callTask, failureError, hrtime, LOCK_FILE_OPTIONS, members } = internals
const { CHECKS, checkOptions, checkPath, checkTask, checkWait } = internals.checks

const ACQUIRE_OPTIONS = ['timeout', 'mode', 'signal']
const ACQUIRE_SYNC_OPTIONS = ['timeout', 'mode']
const TRY_ACQUIRE_OPTIONS = ['mode', 'signal']
const TRY_ACQUIRE_SYNC_OPTIONS = ['mode']
const FILE_OPTIONS = ['path', 'mode']

/** The shortest wait, in milliseconds: a wait of 0 is a try. */
const SHORTEST = 0.001

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

/** How the lock of one file is tried, and waited for: the result is true, or false for a refusal, or a promise of either. */
const ASYNC = {
  try(part) {
    part.id = members.newId(part.lock)
    return members.try(part.lock, part.id, part.wait)
  },
  wait(part, wait) {
    part.id = members.newId(part.lock)
    return members.acquire(part.lock, part.id, wait)
  },
}

/** The same, on the calling thread, without a promise. */
const SYNC = {
  try(part) {
    part.id = 0
    return members.trySync(part.lock, part.wait)
  },
  wait(part, wait) {
    part.id = 0
    return members.acquireSync(part.lock, wait)
  },
}

/** One acquisition of all files, from its begin to its release. */
class Acquisition {
  #files
  #calls
  #isTry
  /**
   * For each file: its lock, the wait for it, its number, the id by which it is released, whether it is held, and whether it was
   * given back and has stayed, although it is to be deleted on release.
   */
  #parts
  /** The errors of the locks that were released when one of them was found lost. */
  #errors = []
  #timeout
  /** When the wait began. */
  #since

  constructor(files, options, isTry, calls) {
    this.#files = files
    this.#calls = calls
    this.#isTry = isTry
    this.#parts = files.map((file) => ({
      file,
      lock: file.lock,
      wait: members.waitOf(file.lock, file.hasMode ? withoutMode(options) : options),
      number: file.number,
      id: 0,
      isHeld: false,
      isLeft: false,
    }))
    this.#timeout = this.#parts[0].wait.timeout
    this.#since = Number.isFinite(this.#timeout) ? now() : 0
  }

  /** Acquires the locks. Yields promises, and gets what they resolve to. Returns false if a try was refused. */
  *steps() {
    try {
      for (;;) {
        if (yield* this.#tryAll()) return true
        if (this.#isTry) {
          yield* this.#giveUp()
          return false
        }
        this.#giveBack()
        yield* this.#findAll()
        if (yield* this.#waitForAll()) return true
        this.#giveBack()
      }
    } catch (error) {
      yield* this.#giveUp()
      throw error
    }
  }

  /** Releases what is held. Returns the errors. */
  release() {
    const errors = [...this.#errors, ...this.#release(false)]
    this.#errors = []
    return errors
  }

  /** Returns true if all locks are held that were acquired. If one of them is not, the others are released: all or none. */
  isHeld() {
    if (this.#parts.some(({ isHeld, lock }) => isHeld && !lock.held)) this.#errors.push(...this.#release(false))
    return this.#parts.some(({ isHeld }) => isHeld)
  }

  /** Aborts `controller` when a lock is lost. */
  onLost(controller) {
    for (const { isHeld, lock } of this.#parts) {
      if (!isHeld) continue
      const { lost } = lock
      const lose = () => controller.abort(lost.reason)
      if (lost.aborted) lose()
      else lost.addEventListener('abort', lose, { once: true })
    }
  }

  /** Calls `task` inside a run of each lock, so that a wait of it for one of them is noticed. */
  call(task) {
    const held = this.#parts.filter(({ isHeld }) => isHeld)
    return held.reduce(
      (inner, { lock, wait }) =>
        () =>
          callTask(lock, wait.protocol, inner),
      task,
    )()
  }

  /** Tries all locks. Returns false if one of them is not free. */
  *#tryAll() {
    for (let index = 0; index < this.#parts.length; index++) {
      const part = this.#parts[index]
      const outcome = this.#calls.try(part)
      // Not by #try(): a generator for each file takes a while, and nearly always the lock is there.
      if (outcome === true) part.isHeld = true
      else yield* this.#result(part, outcome)
      if (part.isHeld) continue
      const same = this.#parts.find((other) => other.isHeld && numberOf(other) === part.number)
      if (same === undefined) {
        // Throws the error that names the holders, unless the lock has become free.
        if (this.#isTry || this.#timeout > 0 || !(yield* this.#wait(part, part.wait))) return false
      } else if (same.wait.shared && !part.wait.shared) {
        // A path of the same file for which it has to be exclusive. The stricter one comes first from now on.
        this.#giveBack()
        this.#sort()
        index = -1
      }
    }
    return true
  }

  /** Finds the files whose numbers are not known yet. Holds none of them at the end. */
  *#findAll() {
    for (const part of this.#parts) {
      if (part.number !== undefined) continue
      yield* this.#try(part)
      // On Windows another program may have opened it for itself alone.
      if (!part.isHeld && part.number === undefined) yield* this.#wait(part, this.#limited(part, undefined))
      this.#giveBack()
    }
  }

  /** Waits for all locks in their order. Returns false if a path names another file than before. */
  *#waitForAll() {
    this.#sort()
    let last
    for (const part of this.#parts) {
      const { number } = part
      if (number === last) {
        // Another path of a file that is held, if it still is one: then it is refused, or shared as well.
        yield* this.#try(part)
        if (numberOf(part) !== number) return false
      } else if (!(yield* this.#wait(part, this.#limited(part, number)))) {
        return false
      }
      last = number
    }
    return true
  }

  /** Releases what is held, and deletes the files that have stayed, unless others use them. */
  *#giveUp() {
    this.release()
    for (const part of this.#parts) {
      if (!part.isLeft) continue
      // It may be the signal that has ended the wait.
      part.wait = { ...part.wait, signal: undefined }
      try {
        yield* this.#try(part)
      } catch {
        // The folder is gone, say. The error that counts is that of the wait.
      }
      this.release()
    }
  }

  *#try(part) {
    return yield* this.#result(part, this.#calls.try(part))
  }

  *#wait(part, wait) {
    return yield* this.#result(part, this.#calls.wait(part, wait))
  }

  /** Notes the result of a try or a wait. Returns true if the lock is held. */
  *#result(part, outcome) {
    part.isHeld = Boolean(typeof outcome?.then === 'function' ? yield outcome : outcome)
    if (!part.isHeld) numberOf(part)
    return part.isHeld
  }

  /** Returns the wait for the lock of one file alone, with this number, for what is left of the timeout. */
  #limited({ wait }, file) {
    const limit = this.#since === 0 ? this.#timeout : Math.max(this.#timeout - (now() - this.#since), SHORTEST)
    return { ...wait, limit, file }
  }

  /** Sorts the files by their numbers. The strictest wait for a file is its first. */
  #sort() {
    const byNumber = (one, other) => (one.number === other.number ? 0 : one.number < other.number ? -1 : 1)
    this.#parts.sort((one, other) => byNumber(one, other) || one.wait.shared - other.wait.shared)
    // So that the next try has this order, too.
    this.#files.sort(byNumber)
  }

  /** Releases what is held, in order to acquire it again: files stay that are deleted on release, and with them their numbers. */
  #giveBack() {
    for (const part of this.#parts) if (part.isHeld) numberOf(part)
    this.#release(true)
  }

  #release(keepsFiles) {
    const errors = []
    for (let index = this.#parts.length - 1; index >= 0; index--) {
      const part = this.#parts[index]
      if (!part.isHeld) continue
      part.isHeld = false
      // The release of a shared lock deletes none.
      part.isLeft = keepsFiles && part.file.isRemoved && !part.wait.shared
      const error = members.release(part.lock, part.id, keepsFiles)
      if (error !== undefined) errors.push(error)
    }
    return errors
  }
}

/** Returns the number of the file that is held, or was found last, and notes it. */
function numberOf(part) {
  const number = members.fileNumber(part.lock)
  part.number = number
  part.file.number = number
  return number
}

const withoutMode = (options) => (options.mode === undefined ? options : { ...options, mode: undefined })

const isAcquired = (acquisition) => acquisition !== undefined

/** Returns the time in milliseconds, by a clock that nobody sets. It is not 0. */
function now() {
  const [seconds, nanoseconds] = hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}

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
  if (isFileLocks(self)) return
  const message = 'Value of "this" must be of type FileLocks: call it as a method, as in locks.acquire()'
  throw Object.assign(new TypeError(message), { code: 'ERR_INVALID_THIS' })
}

const lockFiles = (paths, options) => new FileLocks(paths, options)

module.exports = { lockFiles }
