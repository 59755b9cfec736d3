'use strict'

// The functions of the npm package proper-lockfile 4, with its options, errors and defaults, on locks of this package. The
// types are in ../proper-lockfile.d.ts, and docs/migrating.md has what is different.

const fs = require('node:fs')
const path = require('node:path')
const { setTimeout } = require('node:timers/promises')

const { lockFile } = require('./index.js')

/** The longest `stale`: that of lockFile(). */
const LONGEST = 2 ** 31 - 1

/** The functions of `options.fs` that make or change lock entries. Packages that wrap node:fs leave them as they are. */
const USED = ['mkdir', 'rmdir', 'utimes', 'realpath']

/** The locks that are held, by the path of their file. One file can have several, with different `lockfilePath`. */
const holds = new Map()

function failure(code, message, file, cause) {
  return Object.assign(new Error(message, cause && { cause }), { code, file })
}

/** Throws if the locks would have to be kept elsewhere than on the file systems of this machine. */
function checkFs(custom) {
  const changed = custom && USED.find((name) => custom[name] !== fs[name])
  if (!changed) return
  const message = `The argument 'options.fs' must be node:fs or graceful-fs: the lock is not taken by its functions. Its ${changed} is another one`
  throw Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_VALUE' })
}

/** Returns the options of a call. As for proper-lockfile, one that is undefined is set. */
function withDefaults(options) {
  const all = { stale: 10_000, update: null, realpath: true, retries: 0, onCompromised: undefined, ...options }
  checkFs(all.fs)
  const stale = Math.min(Math.max(all.stale || 0, 2000), LONGEST)
  const update = Math.max(Math.min(all.update ?? stale / 2, stale / 2) || 0, 1000)
  return { ...all, stale, update }
}

const realpath = async (file, options) => (options.realpath ? fs.promises.realpath(file) : path.resolve(file))
const realpathSync = (file, options) => (options.realpath ? fs.realpathSync(file) : path.resolve(file))

/** Returns the handle for the lock entry of `file`, the path that realpath() has returned. */
function entryOf(file, { lockfilePath, stale, update }) {
  return lockFile(lockfilePath || `${file}.lock`, { protocol: 'proper-lockfile-at', stale, update })
}

/**
 * Returns the pauses between the attempts, in milliseconds, as the package retry makes them; whether they begin anew at their
 * end (`forever`), and whether they let the process end (`unref`).
 */
function scheduleOf(retries) {
  if (Array.isArray(retries)) return { pauses: retries, forever: false, unref: false }
  const options = typeof retries === 'object' && retries !== null ? retries : { retries: retries || 0 }
  const { factor = 2, minTimeout = 1000, maxTimeout = Infinity, randomize = false, maxRetryTime = Infinity } = options
  if (minTimeout > maxTimeout) throw new Error('minTimeout is greater than maxTimeout')
  const { retries: count = 10, unref = false } = options
  const forever = options.forever || count === Infinity
  const number = count === Infinity ? 10 : Math.max(count, forever ? 1 : 0)
  const pauses = []
  for (let i = 0, begin = 0; i < number && begin < maxRetryTime; begin += pauses[i++]) {
    const pause = Math.round((randomize ? Math.random() + 1 : 1) * minTimeout * factor ** i)
    // A timer of Node takes at least 1 ms.
    pauses.push(Math.max(Math.min(pause, maxTimeout), 1))
  }
  return { pauses: pauses.sort((one, other) => one - other), forever, unref }
}

const sum = (numbers) => numbers.reduce((total, each) => total + each, 0)

/** Acquires the lock of a handle by as many attempts, at the same times, as proper-lockfile makes. */
async function acquire(handle, file, retries) {
  const { pauses, forever, unref } = scheduleOf(retries)
  for (let attempt = 0; ; attempt++) {
    try {
      // While the lock is held, an attempt stands for all that follow: it gets the lock as soon as that is free. But it would
      // keep the process alive.
      const timeout = forever ? Infinity : sum(pauses.slice(attempt))
      return await handle.acquire(unref ? 0 : timeout)
    } catch (error) {
      const isLocked = error.code === 'ERR_LOCK_TIMEOUT'
      const pause = isLocked && !unref ? undefined : pauses[forever ? attempt % pauses.length : attempt]
      if (pause === undefined) throw isLocked ? lockedError(file, error) : error
      await setTimeout(pause, undefined, { ref: !unref })
    }
  }
}

const lockedError = (file, cause) => failure('ELOCKED', 'Lock file is already being held', file, cause)

/** A lock that is held. */
class Hold {
  /** Whether it has been released, or is known to be lost. */
  #ended = false

  constructor(file, handle, onCompromised) {
    this.file = file
    this.handle = handle
    holds.set(file, [...(holds.get(file) ?? []), this])
    handle.lost.addEventListener('abort', () => {
      if (this.#ended) return
      this.#end()
      const error = this.#compromised(handle.lost.reason)
      // In a turn of its own: what it throws, or what its promise rejects with, ends the process.
      setImmediate(onCompromised ?? rethrow, error)
    })
  }

  release() {
    if (this.#ended) throw failure('ERELEASED', 'Lock is already released', this.file)
    this.#end()
    try {
      this.handle.release()
    } catch (error) {
      if (error.code !== 'ERR_LOCK_LOST') throw error
      // As for proper-lockfile, a lock entry that is missing is released.
      if (fs.lstatSync(this.handle.path, { throwIfNoEntry: false }) !== undefined) throw this.#compromised(error)
    }
  }

  #end() {
    this.#ended = true
    const others = holds.get(this.file).filter((hold) => hold !== this)
    if (others.length > 0) holds.set(this.file, others)
    else holds.delete(this.file)
  }

  /** Returns the error of a lock that is lost. */
  #compromised(cause) {
    try {
      fs.statSync(this.handle.path)
    } catch (error) {
      return Object.assign(error, { code: 'ECOMPROMISED', file: this.file })
    }
    return failure('ECOMPROMISED', 'Unable to update lock within the stale threshold', this.file, cause)
  }
}

function rethrow(error) {
  throw error
}

async function lock(file, options) {
  const settings = withDefaults(options)
  const target = await realpath(file, settings)
  const handle = entryOf(target, settings)
  await acquire(handle, target, settings.retries)
  const hold = new Hold(target, handle, settings.onCompromised)
  return async () => hold.release()
}

function lockSync(file, options) {
  const settings = withDefaults(options)
  const { retries } = settings
  if (retries > 0 || retries?.retries > 0) throw failure('ESYNC', 'Cannot use retries with the sync api', file)
  const target = realpathSync(file, settings)
  const handle = entryOf(target, settings)
  try {
    handle.acquireSync(0)
  } catch (error) {
    throw error.code === 'ERR_LOCK_TIMEOUT' ? lockedError(target, error) : error
  }
  const hold = new Hold(target, handle, settings.onCompromised)
  return () => hold.release()
}

async function unlock(file, options) {
  const settings = withDefaults(options)
  release(await realpath(file, settings), settings)
}

function unlockSync(file, options) {
  const settings = withDefaults(options)
  release(realpathSync(file, settings), settings)
}

/** Releases the lock of `file` that was acquired last; with `lockfilePath`, the one that has this lock entry. */
function release(file, settings) {
  const { path: entry } = entryOf(file, settings)
  const found = holds.get(file)?.findLast(({ handle }) => !settings.lockfilePath || handle.path === entry)
  if (found === undefined) throw failure('ENOTACQUIRED', 'Lock is not acquired/owned by you', file)
  found.release()
}

async function check(file, options) {
  const settings = withDefaults(options)
  return entryOf(await realpath(file, settings), settings).isLocked()
}

function checkSync(file, options) {
  const settings = withDefaults(options)
  const { path: entry } = entryOf(realpathSync(file, settings), settings)
  const stat = fs.statSync(entry, { throwIfNoEntry: false })
  return stat !== undefined && stat.mtimeMs >= Date.now() - settings.stale
}

module.exports = lock
module.exports.lock = lock
module.exports.unlock = unlock
module.exports.lockSync = lockSync
module.exports.unlockSync = unlockSync
module.exports.check = check
module.exports.checkSync = checkSync
