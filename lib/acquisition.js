'use strict'

// One acquisition of the locks of several files.
//
// Nobody waits for ever for others that do the same: a request that waits for a file holds only files with lower numbers, and
// the numbers of files have the same order in all processes. A file has to be found before its number is known. So all files
// are tried first, without waiting. If one of them is not free, those that were acquired are given back, and all are waited for
// in the order of their numbers.

const { internals } = require('./index.js')

const { callTask, hrtime, members } = internals

/** The shortest wait, in milliseconds: a wait of 0 is a try. */
const SHORTEST = 0.001

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

/** Returns the time in milliseconds, by a clock that nobody sets. It is not 0. */
function now() {
  const [seconds, nanoseconds] = hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}

module.exports = { Acquisition, ASYNC, SYNC }
