'use strict'

// What one thread has gone through, read from its log: which attempt came to which end.

const { ENDLESS, FIRST_SYNC, KINDS, eachRecord } = require('./journal.js')

/** What has become of an attempt. */
const [UNKNOWN, WAITING, HELD, RELEASED, REJECTED] = [0, 1, 2, 3, 4]

const REJECTIONS = { [KINDS.TIMED_OUT]: 'timedOut', [KINDS.ABORTED]: 'aborted', [KINDS.REFUSED]: 'refused' }

/** How much too early the clocks of others may ring, in nanoseconds. */
const EARLY = 1e6

const NS_PER_MS = 1e6

class Story {
  /** By attempt. A number for each, and no object: there are millions. */
  #states = new Uint8Array(1024)
  /** Those that have not come to their end. */
  #live = new Map()
  #records = 0
  #report
  #holdsOf
  #log
  last = 0
  closed = false
  /** The threads of the same process that this one was about to terminate. */
  terminated = []
  /** What the storm says about processes, and what those say that kill themselves: pairs of a kind and a process. */
  fates = []

  /** `report`: see checker.js. `holdsOf(file)`: where its holds are collected. `log`: the number of this log. */
  constructor(name, log, report, holdsOf) {
    this.name = name
    this.#log = log
    this.#report = report
    this.#holdsOf = holdsOf
  }

  read(chunks) {
    eachRecord(chunks, (record) => this.#take(record))
  }

  #take(record) {
    const { kind, time } = record
    this.#records++
    this.#report.events++
    if (!(time >= this.last)) this.#violate('malformed', `an event at ${time} ns after one at ${this.last} ns`)
    if (this.closed) this.#violate('malformed', `an event after its last one`)
    this.last = time
    switch (kind) {
      case KINDS.OPENED:
        return
      case KINDS.REQUESTED:
        return this.#request(record)
      case KINDS.GRANTED:
        return this.#grant(record)
      case KINDS.RELEASED:
        return this.#release(record)
      case KINDS.TIMED_OUT:
      case KINDS.ABORTED:
      case KINDS.REFUSED:
        return this.#reject(record)
      case KINDS.FAILED:
        return this.#violate('failed', `${this.#named(record)} failed`)
      case KINDS.CLOSED:
        this.closed = true
        return
      case KINDS.TERMINATED:
        this.#report.terminations++
        this.terminated.push(record.value)
        return
      case KINDS.LEFT_OVER:
        return this.#violate('left over', `${record.value} holds and waits are left when all has ended`)
      case KINDS.STARTED:
      case KINDS.KILLED:
      case KINDS.HUNG:
      case KINDS.CRASHED:
        this.fates.push([kind, record.value])
        return
      case KINDS.STILL_LOCKED:
        return this.#violate('left over', `file ${record.file} is locked after all processes have ended`)
      default:
        this.#violate('malformed', `an event of the unknown kind ${kind}`)
    }
  }

  #request({ attempt, file, shared, form, timeout, time }) {
    if (this.#stateOf(attempt) !== UNKNOWN) return this.#violate('malformed', `attempt ${attempt} begins twice`)
    // Attempts are numbered one after the other: a greater number is rubbish, and would take any amount of memory.
    if (attempt >= this.#records) return this.#violate('malformed', `there cannot be an attempt ${attempt}`)
    this.#setState(attempt, WAITING)
    this.#live.set(attempt, { attempt, file, shared, form, timeout, requested: time, begin: 0, value: 0 })
    this.#report.requests++
  }

  #grant(record) {
    const { attempt, time, value } = record
    const state = this.#stateOf(attempt)
    if (state === REJECTED) return this.#violate('late', `${this.#named(record)} is granted after it was rejected`)
    if (state !== WAITING) return this.#violate('twice', `${this.#named(record)} is granted, but does not wait`)
    const live = this.#live.get(attempt)
    this.#setState(attempt, HELD)
    live.begin = time
    live.value = value
    if (!live.shared && value === 0) this.#violate('malformed', `${this.#named(live)} does not count`)
    this.#report.acquired(this.name.program, live.form >= FIRST_SYNC, live.shared)
    this.#noteWait(live, time)
  }

  #release(record) {
    const { attempt, time } = record
    if (this.#stateOf(attempt) !== HELD) {
      return this.#violate('malformed', `${this.#named(record)} is released, but not held`)
    }
    this.#setState(attempt, RELEASED)
    this.#addHold(this.#live.get(attempt), time, false)
    this.#live.delete(attempt)
  }

  #reject(record) {
    const { attempt, time, kind } = record
    if (this.#stateOf(attempt) !== WAITING) {
      return this.#violate('twice', `${this.#named(record)} is rejected, but does not wait`)
    }
    const live = this.#live.get(attempt)
    const waited = time - live.requested
    if (kind === KINDS.TIMED_OUT && waited < live.timeout * NS_PER_MS - EARLY) {
      const limit = live.timeout === ENDLESS ? 'without a timeout' : `with a timeout of ${live.timeout} ms`
      this.#violate('early', `${this.#named(live)}, ${limit}, timed out after ${waited / NS_PER_MS} ms`)
    }
    this.#setState(attempt, REJECTED)
    this.#report.rejections[REJECTIONS[kind]]++
    this.#noteWait(live, time)
    this.#live.delete(attempt)
  }

  /**
   * All has been read, of all logs. `dead`: its thread was killed or terminated, or has crashed, so what it had begun has
   * ended with it. Otherwise every wait and every hold owes an end.
   */
  finish(dead) {
    for (const live of this.#live.values()) {
      if (this.#stateOf(live.attempt) === HELD) {
        if (!dead) this.#violate('unreleased', `${this.#named(live)} is granted, and never released`)
        // Nobody knows when the kernel took it back. That it was held until its thread did the last thing that it told of
        // is certain, since it would have told of the release first.
        this.#addHold(live, this.last, true)
        if (dead) this.#report.endedByDeath.holds++
      } else if (dead) {
        this.#report.endedByDeath.waits++
      } else {
        this.#violate('unanswered', `${this.#named(live)}, begun at ${live.requested / 1e9} s, has no end`)
      }
    }
  }

  #addHold({ file, begin, value, attempt, shared }, end, open) {
    this.#holdsOf(file).add({ begin, end, value, attempt, log: this.#log, shared: Number(shared), open: Number(open) })
  }

  #noteWait(live, time) {
    const wait = time - live.requested
    if (wait > this.#report.longestWait.ns) this.#report.longestWait = { ns: wait, who: this.#named(live) }
  }

  #stateOf(attempt) {
    return this.#states[attempt] ?? UNKNOWN
  }

  #setState(attempt, state) {
    if (attempt >= this.#states.length) {
      const states = new Uint8Array(Math.max(this.#states.length * 2, attempt + 1))
      states.set(this.#states)
      this.#states = states
    }
    this.#states[attempt] = state
  }

  #named(live) {
    return nameAttempt(this.name, live)
  }

  #violate(kind, text) {
    this.#report.violate(kind, `${nameThread(this.name)}: ${text}`)
  }
}

const nameThread = ({ program, process, thread }) => `${program} ${process}.${thread}`

const nameAttempt = (name, { attempt, file, shared }) =>
  `${shared ? 'shared' : 'exclusive'} attempt ${attempt} of ${nameThread(name)} on file ${file}`

module.exports = { Story, nameAttempt, nameThread }
