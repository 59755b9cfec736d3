'use strict'

// The Web Locks API (https://w3c.github.io/web-locks/) over the locks of files: each name is a file in the folder of the manager,
// and each request is that of a FileLock. Loaded when the first manager is made. The types are in index.d.ts.

const fs = require('node:fs')
const path = require('node:path')

const { CHECKS, checkPath } = require('./arguments.js')
const { internals, lockFile, query } = require('./index.js')
const { wrongType } = require('./invalid.js')
const { contentOf, fileOf, isHashed, isLockFile, nameIn, nameInContent } = require('./lock-names.js')

/** The most names whose handles are kept for the next request, besides those in use. */
const KEPT_NAMES = 256
/** The most handles of a name and a mode that are kept: so many requests at a time make none of their own. */
const KEPT_HANDLES = 4

/** How many files a sweep looks at before the event loop goes on: about a millisecond. */
const SWEPT_AT_ONCE = 32
/** The pause after that, in milliseconds. (While only a setImmediate() without a reference waits, the event loop sleeps.) */
const SWEEP_PAUSE = 1

/** How many files a query asks about at a time. */
const ASKED_AT_ONCE = 64
/** How often a query looks again for requests that are about to be granted. */
const MOST_LOOKS = 20

const { internalLock, steal, waitersOf } = internals
const { O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDONLY, O_RDWR } = fs.constants

// See file-lock.js.
const DISPOSE = Symbol.dispose ?? Symbol.for('Symbol.dispose')
const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Taken at load: a test may replace it by a timer whose clock stands still. */
const { setTimeout } = globalThis

/** The folders that this thread has swept. */
const swept = new Set()

/** The names of the hashes that requests of this thread use, by file: each with the number of its requests. */
const hashed = new Map()

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

/** The options of a request without any. */
const DEFAULTS = { ifAvailable: false, mode: 'exclusive', signal: undefined, steal: false, timeout: undefined }

/** Converts options as Web IDL does: one after the other in alphabetical order. One that is undefined is not set. */
function toOptions(value) {
  if (value === undefined || value === null) return DEFAULTS
  if (typeof value !== 'object' && typeof value !== 'function') throw wrongType('options', 'of type object', value)
  const options = { ...DEFAULTS }
  options.ifAvailable = Boolean(value.ifAvailable)
  const { mode } = value
  if (mode !== undefined) {
    options.mode = `${mode}`
    CHECKS.mode(options.mode)
  }
  options.signal = value.signal
  if (options.signal !== undefined) CHECKS.signal(options.signal)
  options.steal = Boolean(value.steal)
  options.timeout = value.timeout
  if (options.timeout !== undefined) CHECKS.timeout(options.timeout)
  return options
}

const notSupported = (message) => new DOMException(message, 'NotSupportedError')

/** Throws what the standard refuses, in its order. */
function refuse(name, { ifAvailable, mode, signal, steal: steals, timeout }) {
  if (name[0] === '-') throw notSupported("The name of a lock must not begin with '-'")
  if (steals && ifAvailable) throw notSupported("The options 'steal' and 'ifAvailable' exclude each other")
  if (steals && mode !== 'exclusive') throw notSupported("The option 'steal' is for exclusive locks only")
  if (!steals && !ifAvailable) return
  const waits = `a request with '${steals ? 'steal' : 'ifAvailable'}' does not wait`
  if (signal !== undefined) throw notSupported(`The option 'signal' ends a wait: ${waits}`)
  if (timeout !== undefined) throw notSupported(`The option 'timeout' limits a wait: ${waits}`)
}

/** Throws the reason of a signal that has fired. A polyfill may have none. */
function throwIfAborted(signal) {
  if (!signal?.aborted) return
  throw signal.reason === undefined ? new DOMException('The request was aborted', 'AbortError') : signal.reason
}

/** Throws the reason of the signal if that has ended a wait, else the `error` of the wait. */
function throwFailure(error, { signal }) {
  if (error.code === 'ABORT_ERR') throwIfAborted(signal)
  throw error
}

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
    if (!this.isHashed) return
    const users = (hashed.get(this.file)?.users ?? 0) + change
    if (users > 0) hashed.set(this.file, { name: this.name, users })
    else hashed.delete(this.file)
  }

  /** Writes the name into the file, which cannot tell it otherwise. The caller holds the lock. Never rejects. */
  async write() {
    try {
      if (O_NOFOLLOW === 0 && (await fs.promises.lstat(this.location)).isSymbolicLink()) return
      const file = await fs.promises.open(this.location, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
      try {
        await writeMissing(file, Buffer.from(contentOf(this.name)))
      } finally {
        await file.close()
      }
    } catch {
      // A full disk, a file of another user, or a link: query() of other threads and processes does not tell of this name.
    }
  }
}

/**
 * Writes `content` into a file that is empty, or has only its begin. Any other stays as it is, and so does one that has a second
 * name: it may be a file that somebody wants to be overwritten.
 */
async function writeMissing(file, content) {
  const stat = await file.stat()
  if (!stat.isFile() || stat.nlink !== 1) return
  const { bytesRead, buffer } = await file.read(Buffer.alloc(content.length), 0, content.length, 0)
  if (bytesRead === content.length || content.compare(buffer, 0, bytesRead, 0, bytesRead) !== 0) return
  await file.write(content, 0, content.length, 0)
}

/** Makes a folder, and those above it. Rejects with the error of the system, where mkdir() of Node has another one. */
async function makeFolder(folder) {
  try {
    await fs.promises.mkdir(folder, { recursive: true })
  } catch (error) {
    // A file is in its place: ENOTDIR.
    if (error.code === 'EEXIST') await fs.promises.readdir(folder)
    // Also of a file system that cannot be written.
    else if (error.code === 'ENOENT' && typeof folder === 'string') await fs.promises.mkdir(firstMissing(folder))
    throw error
  }
}

/** Returns the first folder of a path that does not exist. */
function firstMissing(folder) {
  const parent = path.dirname(folder)
  return parent === folder || fs.existsSync(parent) ? folder : firstMissing(parent)
}

/** The locks of the files in a folder. */
class Manager {
  /** The bytes of the path, if they are not UTF-8. */
  #bytes
  /** What the paths of all files begin with. */
  #prefix
  /** Whether the folder has been made, or found. */
  #isReady = false
  /** A promise of the folder, while it is being made. */
  #making
  /** The names that are in use, and some that were. */
  #names = new Map()

  constructor(folder) {
    const checked = checkPath(folder, 'folder')
    this.folder = checked.path
    this.#bytes = checked.bytes
    this.#prefix = checked.path.endsWith(path.sep) ? checked.path : checked.path + path.sep
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
      await this.#makeFolder()
      // Not before: requests that come until now are behind this one.
      this.#isReady = true
      this.#sweepOnce()
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
        if (used.isHashed) await used.write()
        throwIfAborted(options.signal)
        result = await handle.call(callback, new Lock(KEY, name, options.mode))
      } catch (error) {
        handle.lock[DISPOSE]()
        throw error
      }
      handle.release()
      return result
    } finally {
      used.giveBack(handle, options.mode)
    }
  }

  async query() {
    // Earlier requests wait for it, too.
    if (this.#making !== undefined) await this.#makeFolder().catch(() => {})
    const own = await this.#queryProcess()
    const others = process.platform === 'linux' ? await this.#queryOthers() : { held: [], pending: [] }
    return { held: [...own.held, ...others.held], pending: [...own.pending, ...others.pending] }
  }

  async #makeFolder() {
    this.#making ??= makeFolder(this.#bytes ?? this.folder)
    try {
      await this.#making
    } finally {
      this.#making = undefined
    }
  }

  /** Acquires the lock after an `error`, if that is because somebody has deleted the folder. */
  async #acquireAgain(error, handle, options) {
    if (error.code === 'ENOENT') {
      await this.#makeFolder()
      return handle.acquire(options).catch((second) => throwFailure(second, options))
    }
    return throwFailure(error, options)
  }

  /** Returns the entry of a name, which may be new. */
  #nameOf(name) {
    let used = this.#names.get(name)
    if (used === undefined) {
      const file = fileOf(name)
      used = new Name(name, file, this.#locationOf(file))
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

  /** Returns the path of a file in the folder. */
  #locationOf(file) {
    if (this.#bytes === undefined) return this.#prefix + file
    return Buffer.concat([this.#bytes, Buffer.from(path.sep + file)])
  }

  /** Resolves to the files in the folder that are those of names; none if there is no folder. */
  async #files() {
    try {
      return (await fs.promises.readdir(this.#bytes ?? this.folder)).filter(isLockFile)
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
      return []
    }
  }

  /** Begins to delete the files that killed processes have left, unless this thread has done so. */
  #sweepOnce() {
    if (swept.has(this.folder)) return
    swept.add(this.folder)
    this.#sweep().catch(() => {})
  }

  /**
   * Deletes the files that nobody uses. Each is locked and released without a turn of the event loop: no request of this
   * thread finds it locked, and those of others hardly ever.
   */
  async #sweep() {
    const files = await this.#files()
    for (const [i, file] of files.entries()) {
      // The process may end meanwhile: the next one goes on.
      if (i > 0 && i % SWEPT_AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve, SWEEP_PAUSE).unref?.())
      if (this.#isUsed(file)) continue
      const location = this.#locationOf(file)
      const lock = internalLock(location, {}, { whenUnused: true })
      try {
        if (!lock.tryAcquireSync()) continue
        lock.release()
      } catch {
        // It belongs to another user, or is none of ours.
        continue
      }
      // Where it is not safe to delete a file, all of them stay. In a folder that users share, those of others may stay.
      const left = fs.statSync(location, { throwIfNoEntry: false })
      if (left !== undefined && left.uid === (process.geteuid?.() ?? left.uid)) return
    }
  }

  /** Returns true if requests of this manager use a file. */
  #isUsed(file) {
    const name = nameIn(file) ?? hashed.get(file)?.name
    return this.#names.get(name)?.users > 0
  }

  /** Resolves to the name of a file, or to undefined if it is not to be found. */
  async #nameIn(file) {
    if (!isHashed(file)) return nameIn(file)
    if (hashed.has(file)) return hashed.get(file).name
    try {
      const flag = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
      return nameInContent(await fs.promises.readFile(this.#locationOf(file), { encoding: 'utf8', flag }), file)
    } catch {
      // The file is gone, and so is the lock.
      return undefined
    }
  }

  /** Resolves to what this process holds and waits for in the folder, over all its threads. */
  async #queryProcess() {
    const { held, pending } = await this.#settled()
    return { held: await this.#describe(held), pending: await this.#describe(pending) }
  }

  async #describe(infos) {
    const described = []
    for (const { file, mode, threadId } of infos) {
      const name = await this.#nameIn(file)
      if (name !== undefined) described.push({ name, mode, clientId: `${process.pid}-${threadId}` })
    }
    return described
  }

  /** Returns what this process holds and waits for in the folder. */
  #snapshot() {
    const inFolder = (infos) =>
      infos
        .filter((info) => info.path.startsWith(this.#prefix))
        .map(({ path, mode, threadId }) => ({ file: path.slice(this.#prefix.length), mode, threadId }))
        .filter(({ file }) => isLockFile(file))
    const { held, pending } = query()
    return { held: inFolder(held), pending: inFolder(pending) }
  }

  /**
   * Resolves to a snapshot in which no request waits that is about to be granted: its file is being opened, or it has been
   * released a moment ago.
   */
  async #settled() {
    const heldElsewhere = new Set()
    for (let looks = 1; ; looks++) {
      const snapshot = this.#snapshot()
      const due = grantable(snapshot).filter(({ file }) => !heldElsewhere.has(file))
      if (due.length === 0 || looks === MOST_LOOKS) return snapshot
      // Which takes its turn behind the requests.
      const isLocked = ({ file }) =>
        lockFile(this.#locationOf(file))
          .isLocked()
          .catch(() => true)
      for (const request of due.slice(0, ASKED_AT_ONCE)) {
        if ((await isLocked(request)) && !request.joins) heldElsewhere.add(request.file)
      }
    }
  }

  /** Resolves to what other processes hold and wait for in the folder, as the kernel tells. */
  async #queryOthers() {
    const files = await this.#files()
    const found = { held: [], pending: [] }
    for (let i = 0; i < files.length; i += ASKED_AT_ONCE) {
      const answers = await Promise.all(files.slice(i, i + ASKED_AT_ONCE).map((file) => this.#queryFile(file)))
      for (const { held, pending } of answers) {
        found.held.push(...held)
        found.pending.push(...pending)
      }
    }
    return found
  }

  async #queryFile(file) {
    const lock = lockFile(this.#locationOf(file))
    const answers = await Promise.all([lock.holders(), waitersOf(lock)].map((answer) => answer.catch(() => [])))
    const [held, pending] = answers.map((parties = []) => parties.filter(({ pid }) => pid !== process.pid))
    const name = held.length + pending.length === 0 ? undefined : await this.#nameIn(file)
    if (name === undefined) return { held: [], pending: [] }
    const describe = ({ mode, pid }) => ({ name, mode, clientId: String(pid) })
    return { held: held.map(describe), pending: pending.map(describe) }
  }
}

/**
 * Returns the first request for each file, if nothing that this process holds is in its way. `joins`: it shares what this
 * process holds.
 */
function grantable({ held, pending }) {
  const first = new Map()
  for (const request of pending) if (!first.has(request.file)) first.set(request.file, { ...request, joins: false })
  for (const hold of held) {
    const request = first.get(hold.file)
    if (request === undefined) continue
    if (request.mode === 'exclusive' || hold.mode === 'exclusive') first.delete(hold.file)
    else request.joins = true
  }
  return [...first.values()]
}

const createManager = (folder) => new Manager(folder)

module.exports = { createManager }
