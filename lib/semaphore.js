'use strict'

// Semaphores. The native part keeps the gate, the slots and their order; each permit is a FileLock of its own. Most programs have no
// semaphore: then this is not loaded.

const { internals, lockFile } = require('./index.js')
const { outOfRange, wrongType } = require('./invalid.js')

const { addHolders, failureError, internalLock } = internals
const { checkOptions, checkPath, checkTask, checkWait } = internals.checks
const { setTimeout, clearTimeout } = internals.timers

const SEMAPHORE_OPTIONS = ['timeout', 'fileMode']
const ACQUIRE_OPTIONS = ['timeout', 'signal']
const TRY_ACQUIRE_OPTIONS = ['signal']

/** The most permits. */
const MOST = 1024

/** Time until the error of a timeout goes without the holders, in milliseconds. */
const HOLDERS_WITHIN = 100

// See file-lock.js.
const DISPOSE = Symbol.dispose ?? Symbol.for('Symbol.dispose')
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')
const INSPECT = Symbol.for('nodejs.util.inspect.custom')
const UNCLONEABLE = Symbol(
  'a semaphore and its permits cannot be cloned: call semaphore(path, permits) where it is needed',
)

/** Returns the lock that a permit is. For bin/, not public. */
let lockOf

/** Resolves to the locks of the slots of a semaphore: who holds one has a permit. For bin/, not public. */
let slotsOf

// The types and the documentation of the methods are in index.d.ts, where editors show them.

class Permit {
  uncloneable = UNCLONEABLE
  #lock

  constructor(lock) {
    this.#lock = lock
  }

  get held() {
    return this.#lock.held
  }

  get lost() {
    return this.#lock.lost
  }

  release() {
    this.#lock.release()
  }

  [DISPOSE]() {
    this.#lock[DISPOSE]()
  }

  async [ASYNC_DISPOSE]() {
    this.#lock[DISPOSE]()
  }

  [INSPECT](_depth, options, inspect) {
    return `Permit ${inspect({ path: this.#lock.path, held: this.held }, options)}`
  }

  static {
    lockOf = (permit) => permit.#lock
  }
}

class Semaphore {
  uncloneable = UNCLONEABLE
  /** The path, in bytes if it is not UTF-8. */
  #name
  #path
  #permits
  #options

  constructor(path, permits, options) {
    const checked = checkPath(path)
    checkPermits(permits)
    this.#path = checked.path
    this.#name = checked.bytes ?? checked.path
    this.#permits = permits
    this.#options = checkOptions(options, SEMAPHORE_OPTIONS)
  }

  get path() {
    return this.#path
  }

  get permits() {
    return this.#permits
  }

  async acquire(options) {
    return await this.#acquire(checkWait(options, ACQUIRE_OPTIONS))
  }

  async tryAcquire(options) {
    const lock = this.#newLock()
    return (await lock.tryAcquire(checkOptions(options, TRY_ACQUIRE_OPTIONS))) ? new Permit(lock) : undefined
  }

  async run(task, options) {
    checkTask(task)
    const wait = checkWait(options, ACQUIRE_OPTIONS)
    const permit = await this.#acquire(wait)
    let result
    try {
      // The signal may have fired after the permit was granted.
      if (wait.signal?.aborted) throw failureError({ reason: 'aborted' }, { path: this.#path, signal: wait.signal })
      result = await task(permit)
    } catch (error) {
      permit[DISPOSE]()
      throw error
    }
    // The task may have released it. Throws if it was lost.
    if (permit.held) permit.release()
    return result
  }

  async holders() {
    // The questions that are asked at once share one look at the kernel's table.
    const holders = await Promise.all((await slotsOf(this)).map((slot) => slot.holders()))
    return holders.includes(undefined) ? undefined : holders.flat()
  }

  [INSPECT](_depth, options, inspect) {
    return `Semaphore ${inspect({ path: this.path, permits: this.permits }, options)}`
  }

  async #acquire(wait) {
    const lock = this.#newLock()
    try {
      await lock.acquire(wait)
    } catch (error) {
      throw error.code === 'ERR_LOCK_TIMEOUT' && error.holders === undefined ? await this.#withHolders(error) : error
    }
    return new Permit(lock)
  }

  /** Resolves to the error of a timeout with those who hold permits, if the system tells that soon. */
  async #withHolders(error) {
    let timer
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, HOLDERS_WITHIN)
    })
    const holders = await Promise.race([this.holders().catch(() => undefined), late])
    clearTimeout(timer)
    return holders === undefined ? error : addHolders(error, holders)
  }

  /** Returns a lock that holds one permit, once it is acquired. */
  #newLock() {
    return internalLock(this.#name, this.#options, { permits: this.#permits })
  }

  static {
    slotsOf = async (it) => {
      const name = await realpath(it.#name)
      return Array.from({ length: it.#permits }, (_, index) => lockFile(withSuffix(name, `.${index + 1}`)))
    }
  }
}

/** Resolves to the path to which a symbolic link leads: the slots stand there. To `name` itself if it names nothing. */
async function realpath(name) {
  try {
    return await require('node:fs/promises').realpath(name, typeof name === 'string' ? 'utf8' : 'buffer')
  } catch {
    return name
  }
}

/** Returns the path `name`, a string or bytes, with `suffix`. */
const withSuffix = (name, suffix) =>
  typeof name === 'string' ? name + suffix : Buffer.concat([name, Buffer.from(suffix)])

function checkPermits(permits) {
  if (typeof permits !== 'number') throw wrongType('permits', 'of type number', permits)
  if (!Number.isInteger(permits) || permits < 1 || permits > MOST) {
    throw outOfRange('permits', `an integer >= 1 && <= ${MOST}`, permits)
  }
}

function semaphore(path, permits, options) {
  return new Semaphore(path, permits, options)
}

module.exports = { lockOf, semaphore, slotsOf }
