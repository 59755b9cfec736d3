'use strict'

// What the logs of a storm (journal.js) prove. All of them are read as one, in the order of time.

/** How many violations of a kind are described. One defect causes thousands. */
const DESCRIBED = 5
/** How much too early a timeout may come by another clock, in nanoseconds. */
const EARLY = 1e6
/** If so many holds were shared, two must have been there at once: they cannot all have missed each other by chance. */
const ENOUGH_SHARED = 100

/** Yields `[log, event]` in the order of time, and `[log, undefined]` at the end of each log. */
function* inOrder(logs) {
  const later = []
  for (const log of logs) {
    const events = log.events[Symbol.iterator]()
    const { value: event } = events.next()
    if (event) later.push({ log, events, event })
    else yield [log, undefined]
  }
  // Few logs are open at any time: those that begin later wait, the earliest of them last.
  later.sort((a, b) => b.event.time - a.event.time)
  const open = new Set()
  while (later.length > 0 || open.size > 0) {
    let first = later.at(-1)
    for (const reader of open) if (!first || isBefore(reader.event, first.event)) first = reader
    if (!open.has(first)) open.add(later.pop())
    yield [first.log, first.event]
    first.event = first.events.next().value
    if (first.event) continue
    open.delete(first)
    yield [first.log, undefined]
  }
}

/** A hold that begins in the instant in which another one ends comes after it. */
const isBefore = (a, b) => a.time < b.time || (a.time === b.time && a.event === 'releasing')

/** The events of threads. The others are about processes. */
const EVENTS = new Set('opened requested held releasing rejected failed terminates leftover closed locked'.split(' '))

class Checker {
  report = {
    events: 0,
    requests: 0,
    /** By program. Those of the sync methods count in two of the three. */
    acquires: {},
    rejections: { timeout: 0, abort: 0, busy: 0 },
    endedByDeath: { waits: 0, holds: 0 },
    kills: 0,
    terminations: 0,
    longestWait: { ns: 0, who: 'nobody' },
    /** How many shared holds began during another one, and during one of another process. */
    shares: { any: 0, betweenProcesses: 0 },
    /** By kind: how many there are, and descriptions of the first ones. */
    violations: {},
  }
  /** By file: its holders, and the least and greatest number that its counter may have. */
  #files
  /** By log: the time of its last event, whether it is closed, and its attempts that have not ended. */
  #threads = new Map()
  /** What is said about processes, and about threads as `PROCESS.THREAD`. */
  #fates = { starts: new Set(), kills: new Set(), hangs: new Set(), crashed: new Set(), terminates: new Set() }

  constructor(files) {
    this.#files = Array.from({ length: files }, () => ({ holders: new Set(), least: 0, greatest: 0 }))
  }

  take(log, event) {
    const thread = this.#threadOf(log)
    this.report.events++
    if (!(event.time >= thread.last)) this.#violate('malformed', log, `an event at ${event.time} after ${thread.last}`)
    if (thread.closed) this.#violate('malformed', log, 'an event after the last one')
    thread.last = event.time
    if (EVENTS.has(event.event)) this[event.event](log, event, thread)
    else if (event.event in this.#fates) this.#fates[event.event].add(event.process)
    else this.#violate('malformed', log, `an unknown event: ${event.event}`)
  }

  opened() {}

  requested(log, { time, attempt, file, mode, sync = false, timeout = Infinity }, { attempts }) {
    if (attempts.has(attempt)) return this.#violate('unexpected', log, `attempt ${attempt} begins twice`)
    if (!this.#files[file]) return this.#violate('malformed', log, `there is no file ${file}`)
    const shared = mode === 'shared'
    attempts.set(attempt, { log, attempt, file, shared, sync, timeout, since: time, held: false })
    this.report.requests++
  }

  held(log, { time, attempt: number, value }, { attempts }) {
    const attempt = attempts.get(number)
    if (!attempt || attempt.held) {
      return this.#violate('unexpected', log, `attempt ${number} gets the lock, but does not wait for it`)
    }
    const { file, shared, sync } = attempt
    this.#noteWait(attempt, time)
    Object.assign(attempt, { held: true, since: time, value })
    this.report.acquires[log.program] ??= { exclusive: 0, shared: 0, sync: 0 }
    const acquires = this.report.acquires[log.program]
    acquires[shared ? 'shared' : 'exclusive']++
    if (sync) acquires.sync++

    const { holders } = this.#files[file]
    for (const other of holders) {
      if (!shared || !other.shared)
        this.#violate('overlap', undefined, `${described(attempt)}; and ${described(other)}`)
    }
    if (shared) {
      if (holders.size > 0) this.report.shares.any++
      if ([...holders].some((other) => other.log.process !== log.process)) this.report.shares.betweenProcesses++
    } else {
      this.#count(attempt)
    }
    holders.add(attempt)
  }

  releasing(log, { attempt: number }, { attempts }) {
    const attempt = attempts.get(number)
    if (!attempt?.held) return this.#violate('unexpected', log, `attempt ${number} is released, but not held`)
    const file = this.#files[attempt.file]
    if (!attempt.shared) file.least = attempt.value
    file.holders.delete(attempt)
    attempts.delete(number)
  }

  rejected(log, { time, attempt: number, reason }, { attempts }) {
    const attempt = attempts.get(number)
    if (!attempt || attempt.held) {
      return this.#violate('unexpected', log, `attempt ${number} is rejected, but does not wait`)
    }
    const waited = time - attempt.since
    if (reason === 'timeout' && waited < attempt.timeout * 1e6 - EARLY) {
      this.#violate('early', undefined, `${named(attempt)} timed out after ${waited / 1e6} of ${attempt.timeout} ms`)
    }
    this.report.rejections[reason]++
    this.#noteWait(attempt, time)
    attempts.delete(number)
  }

  failed(log, { attempt, why }) {
    this.#violate('failed', log, `attempt ${attempt}: ${why}`)
  }

  terminates(log, { thread }) {
    this.report.terminations++
    this.#fates.terminates.add(`${log.process}.${thread}`)
  }

  leftover(log, { count }) {
    this.#violate('left over', log, `${count} holds and waits are left when all has ended`)
  }

  locked(log, { file }) {
    this.#violate('left over', log, `file ${file} is locked after all processes have ended`)
  }

  closed(_log, _event, thread) {
    thread.closed = true
  }

  /**
   * A log has ended. If its thread died, nobody knows when the kernel took back what it held. It certainly held it until
   * the last event that it logged.
   */
  end(log) {
    for (const attempt of this.#threadOf(log).attempts.values()) this.#files[attempt.file].holders.delete(attempt)
  }

  /** All logs have ended. `counters`: the number that is in the counter of each file. */
  finish(counters) {
    this.#judgeProcesses()
    for (const [log, { closed, attempts }] of this.#threads) {
      if (log.program !== 'storm') this.#judgeThread(log, closed, [...attempts.values()])
    }
    for (const [file, { least, greatest }] of this.#files.entries()) {
      if (counters[file] >= least && counters[file] <= greatest) continue
      this.#violate(
        'counter',
        undefined,
        `the counter of file ${file} is ${counters[file]}, not ${least} to ${greatest}`,
      )
    }
    const shared = Object.values(this.report.acquires).reduce((sum, acquires) => sum + acquires.shared, 0)
    if (shared >= ENOUGH_SHARED && this.report.shares.any === 0) {
      this.#violate('unshared', undefined, `of ${shared} shared holds no two were there at once`)
    }
    return this.report
  }

  #judgeProcesses() {
    const { starts, kills, hangs, crashed } = this.#fates
    this.report.kills = kills.size
    for (const process of hangs) this.#violate('hung', undefined, `process ${process} did not end`)
    for (const process of crashed) this.#violate('crashed', undefined, `process ${process} ended badly by itself`)
    const known = new Set([...[...this.#threads.keys()].map(({ process }) => process), ...kills, ...crashed, ...hangs])
    for (const process of starts) {
      if (!known.has(process)) this.#violate('crashed', undefined, `process ${process} has left no log`)
    }
  }

  /** Every wait and every hold owes an end, unless its thread died. */
  #judgeThread(log, closed, attempts) {
    const { kills, hangs, crashed, terminates } = this.#fates
    const { process, thread } = log
    const died = kills.has(process) || crashed.has(process) || terminates.has(`${process}.${thread}`)
    if (!closed && !died && !hangs.has(process))
      this.#violate('crashed', log, 'the log breaks off, and nobody killed it')
    for (const attempt of attempts) {
      if (died && !closed) this.report.endedByDeath[attempt.held ? 'holds' : 'waits']++
      else if (attempt.held) this.#violate('unreleased', undefined, `${described(attempt)} is never released`)
      else this.#violate('unanswered', undefined, `${named(attempt)}, since ${seconds(attempt.since)}, has no end`)
    }
  }

  /** A holder that died may have written its number, or not. */
  #count({ log, file: number, attempt, value }) {
    const file = this.#files[number]
    const found = value - 1
    if (!(found >= file.least && found <= file.greatest)) {
      const expected = file.least === file.greatest ? file.least : `${file.least} to ${file.greatest}`
      this.#violate('counter', log, `attempt ${attempt} reads ${found} in file ${number}, not ${expected}`)
    }
    Object.assign(file, { least: found, greatest: value })
  }

  #noteWait(attempt, time) {
    const ns = time - attempt.since
    if (ns > this.report.longestWait.ns) this.report.longestWait = { ns, who: named(attempt) }
  }

  #threadOf(log) {
    if (!this.#threads.has(log)) this.#threads.set(log, { last: 0, closed: false, attempts: new Map() })
    return this.#threads.get(log)
  }

  #violate(kind, log, text) {
    this.report.violations[kind] ??= { count: 0, described: [] }
    const violations = this.report.violations[kind]
    if (violations.count++ < DESCRIBED) violations.described.push(log ? `${nameOf(log)}: ${text}` : text)
  }
}

const seconds = (ns) => `${(ns / 1e9).toFixed(9)} s`
const nameOf = ({ program, process, thread }) => `${program} ${process}.${thread}`
const named = ({ log, attempt, file, shared }) =>
  `${shared ? 'shared' : 'exclusive'} attempt ${attempt} of ${nameOf(log)} on file ${file}`
const described = (attempt) => `${named(attempt)}, held since ${seconds(attempt.since)}`

/** Returns the report on `logs`: `{ program, process, thread, events }` each. */
function check(logs, counters) {
  const checker = new Checker(counters.length)
  for (const [log, event] of inOrder(logs)) {
    if (event) checker.take(log, event)
    else checker.end(log)
  }
  return checker.finish(counters)
}

module.exports = { ENOUGH_SHARED, check }
