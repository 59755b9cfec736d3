'use strict'

// The Web Locks API (https://w3c.github.io/web-locks/) over the locks of files: each name is a file in the folder of the manager,
// and each request is that of a FileLock. Loaded when the first manager is made. The types are in index.d.ts.

const { internals } = require('./index.js')
const { wrongType } = require('./invalid.js')
const { Folder, countHashed, knownNameOf } = require('./lock-folder.js')
const { fileOf, isHashed } = require('./lock-names.js')
const { DEFAULTS, notSupported, refuse, throwFailure, throwIfAborted, toOptions } = require('./lock-options.js')
const { queryFolder } = require('./lock-query.js')

/** The most names whose handles are kept for the next request, besides those in use. */
const KEPT_NAMES = 256
/** The most handles of a name and a mode that are kept: so many requests at a time make none of their own. */
const KEPT_HANDLES = 4

const { internalLock, steal } = internals

// See file-lock.js.
const DISPOSE = Symbol.dispose ?? Symbol.for('Symbol.dispose')
const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** What a callback gets. */
class Lock {
  #name
  #mode

  constructor(key, name, mode) {
    if (key !== KEY) throw new TypeError('Illegal constructor')
    this.#name = name
    this.#mode = mode
  }

  get name() {
    return this.#name
  }

  get mode() {
    return this.#mode
  }

  [INSPECT](_depth, options, inspect) {
    return #name in this ? `Lock ${inspect({ name: this.name, mode: this.mode }, options)}` : this
  }
}

/** Keeps users from making locks. */
const KEY = Symbol('Lock')

Object.defineProperties(Lock.prototype, {
  name: { enumerable: true },
  mode: { enumerable: true },
  [Symbol.toStringTag]: { value: 'Lock', configurable: true },
})

const stolenError = () => new DOMException('The lock was stolen by another request', 'AbortError')

/** A FileLock for the requests of one name and mode, one after the other. */
class Handle {
  /** What is called when the lock is stolen from the present request. */
  onStolen = undefined
  isStolen = false

  constructor(location, mode) {
    const onLost = () => {
      this.isStolen = true
      this.onStolen?.()
    }
    this.lock = internalLock(location, { mode }, { whenUnused: true, onLost })
  }

  /** Acquires the lock. Resolves to false if a request that does not wait cannot have it. */
  acquire({ ifAvailable, signal, steal: steals, timeout }) {
    if (ifAvailable) return this.lock.tryAcquire()
    if (steals) return steal(this.lock)
    return this.lock.acquire(signal === undefined ? timeout : { signal, timeout })
  }

  /**
   * Calls back while the lock is held. Resolves to the result of the callback, or rejects with its error; if the lock is stolen,
   * it rejects without waiting for the callback.
   */
  call(callback, lock) {
    return new Promise((resolve, reject) => {
      this.onStolen = () => reject(stolenError())
      if (this.isStolen) this.onStolen()
      else Promise.resolve(callback(lock)).then(resolve, reject)
    })
  }

  release() {
    try {
      this.lock.release()
    } catch (error) {
      if (error.code !== 'ERR_LOCK_NOT_HELD') throw error
      // Another thread has stolen the lock, and this one has not been told yet.
      this.isStolen = true
      throw stolenError()
    }
  }

  /** Releases the lock after an error, if it was not stolen. This thread may not have been told yet. */
  dispose() {
    this.isStolen ||= !this.lock.held
    this.lock[DISPOSE]()
  }
}

/** A name, with the handles of its requests. */
class Name {
  /** The number of requests that are not over. */
  users = 0
  #unused = { exclusive: [], shared: [] }

  constructor(name, file, location) {
    this.name = name
    this.file = file
    this.location = location
    this.isHashed = isHashed(file)
  }

  take(mode) {
    this.#count(1)
    return this.#unused[mode].pop() ?? new Handle(this.location, mode)
  }

  giveBack(handle, mode) {
    this.#count(-1)
    handle.onStolen = undefined
    const unused = this.#unused[mode]
    if (!handle.isStolen && unused.length < KEPT_HANDLES) unused.push(handle)
  }

  #count(change) {
    this.users += change
    if (this.isHashed) countHashed(this.file, this.name, change)
  }
}

/** The locks of the files in a folder. */
class Manager {
  #folder
  /** Whether the folder has been made, or found. */
  #isReady = false
  /** The names that are in use, and some that were. */
  #names = new Map()

  constructor(folder) {
    this.#folder = new Folder(folder)
  }

  /** The path of the folder. */
  get folder() {
    return this.#folder.path
  }

  /** Same as request() of a LockManager, with its third argument in a list, if there is one. */
  async request(first, second, rest) {
    const name = `${first}`
    const options = rest.length === 0 ? DEFAULTS : toOptions(second)
    const callback = rest.length === 0 ? second : rest[0]
    if (typeof callback !== 'function') throw wrongType('callback', 'of type function', callback)
    refuse(name, options)
    throwIfAborted(options.signal)
    if (!this.#isReady) {
      await this.#folder.make()
      // Not before: requests that come until now are behind this one.
      this.#isReady = true
      this.#folder.sweepOnce((file) => this.#names.get(knownNameOf(file))?.users > 0)
    }
    const used = this.#nameOf(name)
    const handle = used.take(options.mode)
    try {
      let granted
      try {
        granted = await handle.acquire(options)
      } catch (error) {
        granted = await this.#acquireAgain(error, handle, options)
      }
      if (!granted) {
        if (options.steal)
          throw notSupported('Another process holds the lock, and a lock is stolen from no other process')
        return await callback(null)
      }
      let result
      try {
        if (used.isHashed) await this.#folder.writeName(used.file, name)
        throwIfAborted(options.signal)
        result = await handle.call(callback, new Lock(KEY, name, options.mode))
      } catch (error) {
        handle.dispose()
        throw error
      }
      handle.release()
      return result
    } finally {
      used.giveBack(handle, options.mode)
    }
  }

  query() {
    return queryFolder(this.#folder)
  }

  /** Acquires the lock after an `error`, if that is because somebody has deleted the folder. */
  async #acquireAgain(error, handle, options) {
    if (error.code === 'ENOENT') {
      await this.#folder.make()
      return handle.acquire(options).catch((second) => throwFailure(second, options))
    }
    return throwFailure(error, options)
  }

  /** Returns the entry of a name, which may be new. */
  #nameOf(name) {
    let used = this.#names.get(name)
    if (used === undefined) {
      const file = fileOf(name)
      used = new Name(name, file, this.#folder.locationOf(file))
      this.#names.set(name, used)
      if (this.#names.size > KEPT_NAMES) this.#forgetOne()
    }
    return used
  }

  /** Forgets the oldest name, unless it is in use: then it becomes the newest. */
  #forgetOne() {
    const [[name, oldest]] = this.#names
    this.#names.delete(name)
    if (oldest.users > 0) this.#names.set(name, oldest)
  }
}

const createManager = (folder) => new Manager(folder)

module.exports = { createManager }
