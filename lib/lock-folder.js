'use strict'

// The folder of a LockManager: its files, each of which is that of a name.

const fs = require('node:fs')
const path = require('node:path')

const { internals } = require('./index.js')
const { contentOf, isLockFile, nameIn, nameInContent } = require('./lock-names.js')

const { internalLock } = internals
const { checkPath } = internals.checks
const { setTimeout } = internals.timers
const { O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDONLY, O_RDWR } = fs.constants

/** How many files a sweep looks at before the event loop goes on: about a millisecond. */
const SWEPT_AT_ONCE = 32
/** The pause after that, in milliseconds. (While only a setImmediate() without a reference waits, the event loop sleeps.) */
const SWEEP_PAUSE = 1

/** The folders that this thread has begun to sweep. */
const swept = new Set()

/** The names of the hashes that requests of this thread use, by file: each with the number of its requests. */
const hashed = new Map()

class Folder {
  /** The bytes of the path, if they are not UTF-8. */
  #bytes
  /** What the paths of all files begin with. */
  #prefix
  /** A promise of the folder, while it is being made. */
  #making

  constructor(folder) {
    const checked = checkPath(folder, 'folder')
    this.path = checked.path
    this.#bytes = checked.bytes
    this.#prefix = checked.path.endsWith(path.sep) ? checked.path : checked.path + path.sep
  }

  /** Makes the folder, and those above it, if they are missing. */
  async make() {
    this.#making ??= makeFolder(this.#bytes ?? this.path)
    try {
      await this.#making
    } finally {
      this.#making = undefined
    }
  }

  /** Resolves when the folder has been made, or could not be, if that is under way. */
  async whenMade() {
    if (this.#making !== undefined) await this.make().catch(() => {})
  }

  /** Returns the path of a file in the folder. */
  locationOf(file) {
    if (this.#bytes === undefined) return this.#prefix + file
    return Buffer.concat([this.#bytes, Buffer.from(path.sep + file)])
  }

  /** Returns the file of a name that is at this path, or undefined for any other path. */
  fileAt(location) {
    const file = location.startsWith(this.#prefix) ? location.slice(this.#prefix.length) : ''
    return isLockFile(file) ? file : undefined
  }

  /** Resolves to the files in the folder that are those of names; none if there is no folder. */
  async files() {
    try {
      return (await fs.promises.readdir(this.#bytes ?? this.path)).filter(isLockFile)
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
      return []
    }
  }

  /** Resolves to the name of a file, or to undefined if it is not to be found. */
  async nameOf(file) {
    const known = knownNameOf(file)
    if (known !== undefined) return known
    try {
      const flag = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
      return nameInContent(await fs.promises.readFile(this.locationOf(file), { encoding: 'utf8', flag }), file)
    } catch {
      // The file is gone, and so is the lock.
      return undefined
    }
  }

  /** Writes `name` into its file, from whose own name it cannot be read. The caller holds the lock. Never rejects. */
  async writeName(file, name) {
    try {
      const location = this.locationOf(file)
      if (O_NOFOLLOW === 0 && (await fs.promises.lstat(location)).isSymbolicLink()) return
      const handle = await fs.promises.open(location, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
      try {
        await writeMissing(handle, Buffer.from(contentOf(name)))
      } finally {
        await handle.close()
      }
    } catch {
      // A full disk, a file of another user, or a link: query() of other threads and processes does not tell of this name.
    }
  }

  /** Begins to delete the files that killed processes have left, except those that `isUsed`, unless this thread has done so. */
  sweepOnce(isUsed) {
    if (swept.has(this.path)) return
    swept.add(this.path)
    this.#sweep(isUsed).catch(() => {})
  }

  /**
   * Deletes the files that nobody uses. Each is locked and released without a turn of the event loop: no request of this
   * thread finds it locked, and those of others hardly ever.
   */
  async #sweep(isUsed) {
    const files = await this.files()
    for (const [i, file] of files.entries()) {
      // The process may end meanwhile: the next one goes on.
      if (i > 0 && i % SWEPT_AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve, SWEEP_PAUSE).unref?.())
      if (isUsed(file)) continue
      const location = this.locationOf(file)
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
}

/** Counts a request for `name`, whose file has a hash: with 1 when it begins, with -1 when it is over. */
function countHashed(file, name, change) {
  const users = (hashed.get(file)?.users ?? 0) + change
  if (users > 0) hashed.set(file, { name, users })
  else hashed.delete(file)
}

/** Returns the name of a file, if the file or a request of this thread tells it. */
const knownNameOf = (file) => nameIn(file) ?? hashed.get(file)?.name

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

module.exports = { Folder, countHashed, knownNameOf }
