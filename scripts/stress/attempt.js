'use strict'

// One attempt after the other to acquire a lock: what is asked for, what comes of it, and what is logged.
//
// The begin of a hold is logged after the call has returned, and its end before the release is called. So what is logged
// lies within what the kernel and the package have granted, and two intervals that overlap are two holders.

const { makeWish } = require('./wish.js')

const REASONS = { ERR_LOCK_TIMEOUT: 'timeout', ABORT_ERR: 'abort' }

/** One for all: to make one takes longer than most holds. */
const ON_PURPOSE = new Error('on purpose')

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
  /** An attempt that was rejected, and its handle, which nobody else has: it must not come to hold anything now. */
  #rejected

  /** `own`: handles that nobody else uses. `thread`: see thread.js. */
  constructor(thread, { random, alone, own }) {
    this.#thread = thread
    this.#random = random
    this.#alone = alone
    this.#own = own
  }

  /** Makes one attempt that returns a promise or, among other tasks, one that blocks the thread. */
  async make() {
    const wish = makeWish(this.#random, { ...this.#thread.situation(), alone: false })
    if (wish.sync) return this.#makeSync(wish)
    const lock = this.#lockFor(wish)
    const abort = startAbort(wish.abort, this.#random)
    const attempt = this.#request(wish)
    try {
      const started = this.#start(lock, attempt, { ...optionsOf(wish), signal: abort.signal })
      abort.started()
      await started
    } catch (error) {
      this.#reject(attempt, lock, error)
    }
    abort.end()
  }

  async #start(lock, attempt, options) {
    switch (attempt.method) {
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
    const attempt = this.#request(wish)
    try {
      if (wish.method === 'tryAcquireSync') {
        if (!lock.tryAcquireSync(optionsOf(wish))) return this.#reject(attempt, lock)
      } else {
        lock.acquireSync(optionsOf(wish))
      }
      const value = this.#begin(lock, attempt)
      if (wish.hold === 'while') sleepSync(this.#random.next())
      this.#end(lock, attempt, value)
      this.#release(lock, attempt)
    } catch (error) {
      this.#reject(attempt, lock, error)
    }
  }

  /** Looks, some time after a rejection, whether the handle still holds nothing. */
  lookBack() {
    if (this.#rejected) this.#lookAt(this.#rejected)
    this.#rejected = undefined
  }

  #lockFor(wish) {
    const { common } = this.#thread
    const lock = {
      own: () => this.#own.keep(wish.file),
      common: () => common.keep(wish.file),
      new: () => this.#own.make(wish.file),
    }[wish.handle]()
    return this.#thread.sabotaged(lock, this.#random)
  }

  #request(wish) {
    const attempt = { number: this.#thread.nextAttempt(), ...wish }
    const { number, file, mode, timeout, sync, method } = attempt
    const limit = method.startsWith('try') ? 0 : timeout
    this.#thread.journal.write('requested', { attempt: number, file, mode, sync: sync || undefined, timeout: limit })
    return attempt
  }

  /** Returns what is to be written into the counter. */
  #begin(lock, attempt) {
    const { journal, counters } = this.#thread
    const time = journal.now()
    const value = attempt.mode === 'exclusive' ? counters[attempt.file].read() + 1 : undefined
    journal.write('held', { attempt: attempt.number, value }, time)
    if (!lock.held) this.#fail(attempt, 'the handle does not hold what it has acquired')
    if (this.#random.chance(0.5)) this.#thread.meetDoom()
    return value
  }

  #end(lock, attempt, value) {
    const { journal, counters } = this.#thread
    if (value !== undefined) counters[attempt.file].write(value)
    this.#thread.meetDoom()
    if (!lock.held) this.#fail(attempt, 'the handle has lost what it held')
    journal.write('releasing', { attempt: attempt.number })
  }

  #release(lock, { disposes }) {
    if (disposes && Symbol.dispose) lock[Symbol.dispose]()
    else lock.release()
  }

  #reject(attempt, lock, error) {
    const reason = error ? REASONS[error.code] : 'busy'
    if (!reason) return this.#fail(attempt, error.stack)
    this.#thread.journal.write('rejected', { attempt: attempt.number, reason })
    if (attempt.handle === 'common') return
    this.#rejected = { attempt, lock }
    this.#lookAt(this.#rejected)
  }

  #lookAt({ attempt, lock }) {
    if (!lock.held) return
    this.#thread.journal.write('held', { attempt: attempt.number })
    lock.release()
  }

  #fail({ number, method }, why) {
    this.#thread.journal.write('failed', { attempt: number, why: `${method}: ${why}` })
  }
}

const optionsOf = ({ mode, timeout }) => (timeout === undefined ? { mode } : { mode, timeout })

/** Aborts at some time, if at all, until the end. */
function startAbort(when, random) {
  if (when === undefined) return { started() {}, end() {} }
  const controller = new AbortController()
  const abort = () => controller.abort(ON_PURPOSE)
  if (when === 'before') abort()
  let timer
  return {
    signal: controller.signal,
    started() {
      if (when === 'at once') abort()
      if (when === 'soon') setImmediate(abort)
      if (when === 'later') timer = setTimeout(abort, random.below(15))
    },
    end: () => clearTimeout(timer),
  }
}

module.exports = { Attempts, sleep, sleepSync, turn }
