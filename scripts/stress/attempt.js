'use strict'

// One attempt after the other to have a lock: what is asked for, what comes of it, and what the log is told.
//
// The log is told of the begin of a hold after the call has returned, and of its end before the release is called. So what
// stands there lies within what the kernel and the package have granted, and two intervals that overlap are two holders.

const fs = require('node:fs')

const { FORMS, KINDS } = require('./journal.js')
const { makeWish, optionsOf } = require('./wish.js')

const REJECTIONS = { ERR_LOCK_TIMEOUT: KINDS.TIMED_OUT, ABORT_ERR: KINDS.ABORTED }

/** One for all: to make one takes longer than most holds. */
const REASON = new Error('on purpose')

const turn = () => new Promise(setImmediate)
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Blocks this thread. */
const nap = new Int32Array(new SharedArrayBuffer(4))
const sleepSync = (ms) => Atomics.wait(nap, 0, 0, ms)

class Attempts {
  #thread
  #random
  #alone
  #own
  /** An attempt that was rejected, and a handle that nobody else has: it must not come to hold anything now. */
  #rejected

  /** `own`: handles that nobody else uses. `thread`: see thread.js. */
  constructor(thread, { random, alone, own }) {
    this.#thread = thread
    this.#random = random
    this.#alone = alone
    this.#own = own
  }

  /** Makes one attempt, by an async form or, among other tasks, by a sync one. */
  async make() {
    const wish = makeWish(this.#random, { ...this.#thread.situation(), alone: false })
    if (wish.sync) return this.#makeSync(wish)
    const lock = this.#lockFor(wish)
    const abort = startAbort(wish.abort, this.#random)
    const options = optionsOf(wish, abort.signal)
    const attempt = this.#request(wish)
    try {
      const started = this.#start(lock, attempt, options)
      abort.started()
      await started
    } catch (error) {
      this.#reject(attempt, lock, error)
    }
    abort.end()
  }

  async #start(lock, attempt, options) {
    switch (FORMS[attempt.form]) {
      case 'run':
        return lock.run(() => this.#hold(lock, attempt), options)
      case 'tryAcquire':
        if (!(await lock.tryAcquire(options))) return this.#reject(attempt, lock)
        break
      default:
        if ((await lock.acquire(options)) !== lock) this.#fail(attempt, 'acquire() has resolved to something else')
    }
    await this.#hold(lock, attempt)
    this.#release(lock, attempt)
  }

  async #hold(lock, attempt) {
    const value = this.#begin(lock, attempt)
    if (attempt.hold === 'turn') await turn()
    else if (attempt.hold === 'while') await sleep(this.#random.below(2))
    this.#end(lock, attempt, value)
  }

  /** Makes one attempt that blocks the thread. */
  makeSync() {
    this.#makeSync(makeWish(this.#random, { ...this.#thread.situation(), alone: this.#alone }))
  }

  #makeSync(wish) {
    const lock = this.#lockFor(wish)
    const options = optionsOf(wish)
    const attempt = this.#request(wish)
    try {
      if (FORMS[wish.form] === 'tryAcquireSync') {
        if (!lock.tryAcquireSync(options)) return this.#reject(attempt, lock)
      } else {
        lock.acquireSync(options)
      }
      const value = this.#begin(lock, attempt)
      if (wish.hold === 'while') sleepSync(this.#random.next())
      this.#end(lock, attempt, value)
      this.#release(lock, attempt)
    } catch (error) {
      this.#reject(attempt, lock, error)
    }
  }

  /** Looks, some time after a rejection, whether it has been kept. */
  lookBack() {
    if (this.#rejected) this.#lookAt(this.#rejected)
    this.#rejected = undefined
  }

  #lockFor(wish) {
    const { common } = this.#thread
    const from = { own: () => this.#own.keep(wish.file), common: () => common.keep(wish.file) }
    const lock = from[wish.handle]?.() ?? this.#own.make(wish.file)
    return this.#thread.sabotaged(lock, this.#random)
  }

  #request(wish) {
    const attempt = { attempt: this.#thread.nextAttempt(), ...wish }
    this.#thread.journal.write(KINDS.REQUESTED, attempt)
    return attempt
  }

  /** Returns what is to be written into the counter. */
  #begin(lock, attempt) {
    const { journal, counters } = this.#thread
    const time = journal.now()
    const value = attempt.shared ? 0 : counters[attempt.file].read() + 1
    journal.write(KINDS.GRANTED, { ...attempt, value }, time)
    if (!lock.held) this.#fail(attempt, 'the handle does not hold what it has acquired')
    if (this.#random.chance(0.5)) this.#thread.meetDoom()
    return value
  }

  #end(lock, attempt, value) {
    const { journal, counters } = this.#thread
    if (!attempt.shared) counters[attempt.file].write(value)
    this.#thread.meetDoom()
    if (!lock.held) this.#fail(attempt, 'the handle has lost what it held')
    journal.write(KINDS.RELEASED, attempt)
  }

  #release(lock, { disposes }) {
    if (disposes && Symbol.dispose) lock[Symbol.dispose]()
    else lock.release()
  }

  #reject(attempt, lock, error) {
    if (error && !(error.code in REJECTIONS)) return this.#fail(attempt, error.stack)
    this.#thread.journal.write(error ? REJECTIONS[error.code] : KINDS.REFUSED, attempt)
    if (attempt.handle === 'common') return
    this.#rejected = { attempt, lock }
    this.#lookAt(this.#rejected)
  }

  #lookAt({ attempt, lock }) {
    if (!lock.held) return
    this.#thread.journal.write(KINDS.GRANTED, attempt)
    lock.release()
  }

  #fail(attempt, why) {
    this.#thread.journal.write(KINDS.FAILED, attempt)
    fs.writeSync(2, `attempt ${attempt.attempt} (${FORMS[attempt.form]}): ${why}\n`)
  }
}

/** Aborts at some time, if at all, until the end. */
function startAbort(when, random) {
  if (when === undefined) return { started() {}, end() {} }
  const controller = new AbortController()
  const { signal } = controller
  if (when === 'before') controller.abort(REASON)
  let timer
  return {
    signal,
    started() {
      if (when === 'at once') controller.abort(REASON)
      if (when === 'soon') setImmediate(() => controller.abort(REASON))
      if (when === 'later') timer = setTimeout(() => controller.abort(REASON), random.below(15))
    },
    end: () => clearTimeout(timer),
  }
}

module.exports = { Attempts, sleep, sleepSync, turn }
