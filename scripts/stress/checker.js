'use strict'

// What the logs of a storm prove. Pure: logs in, report out.

const { Holds } = require('./holds.js')
const { KINDS } = require('./journal.js')
const { Story, nameAttempt, nameThread } = require('./story.js')

/** How many violations of a kind are told in full. One defect makes thousands. */
const TOLD = 5

class Report {
  events = 0
  requests = 0
  /** By program: `{ exclusive, shared, sync }`; those that were acquired by a sync form count in two of them. */
  acquires = {}
  rejections = { timedOut: 0, aborted: 0, refused: 0 }
  endedByDeath = { waits: 0, holds: 0 }
  kills = 0
  terminations = 0
  longestWait = { ns: 0, who: 'nobody' }
  /** How many shared holds began during another one, and during one of another process. */
  shares = { any: 0, betweenProcesses: 0 }
  /** By kind: how many there are, and what is said about the first ones. */
  violations = {}

  get violationCount() {
    return Object.values(this.violations).reduce((sum, { count }) => sum + count, 0)
  }

  acquired(program, sync, shared) {
    this.acquires[program] ??= { exclusive: 0, shared: 0, sync: 0 }
    const acquires = this.acquires[program]
    acquires[shared ? 'shared' : 'exclusive']++
    if (sync) acquires.sync++
  }

  violate(kind, text) {
    this.violations[kind] ??= { count: 0, told: [] }
    const violations = this.violations[kind]
    if (violations.count++ < TOLD) violations.told.push(text)
  }
}

/**
 * `logs`: `{ program, process, thread, chunks }` each, where `chunks` is an iterable of Buffers of whole records, the last
 * of which may be torn. `counters`: what the counter of each file says in the end.
 */
function check(logs, { counters }) {
  const report = new Report()
  const holds = counters.map(() => new Holds())
  const holdsOf = (file) => {
    if (file >= holds.length) report.violate('malformed', `there is no file ${file}`)
    return holds[file] ?? new Holds()
  }

  const stories = logs.map(({ chunks, ...name }, log) => {
    const story = new Story(name, log, report, holdsOf)
    story.read(chunks)
    return story
  })
  judgeEnds(stories, report)
  for (const [file, each] of holds.entries()) judgeHolds(file, each, counters[file], stories, report)
  judgeSharing(report)
  return report
}

/** Has everybody ended as it should? */
function judgeEnds(stories, report) {
  const fates = stories.flatMap((story) => story.fates)
  const withFate = (wanted) => new Set(fates.filter(([kind]) => kind === wanted).map(([, process]) => process))
  const killed = withFate(KINDS.KILLED)
  const hung = withFate(KINDS.HUNG)
  const crashed = withFate(KINDS.CRASHED)
  const terminated = new Set(
    stories.flatMap(({ name, terminated }) => terminated.map((thread) => `${name.process}.${thread}`)),
  )
  report.kills = killed.size
  for (const process of hung) report.violate('hung', `process ${process} did not end`)
  for (const process of crashed) report.violate('crashed', `process ${process} ended badly by itself`)

  const heardOf = new Set(stories.map(({ name }) => name.process))
  for (const process of withFate(KINDS.STARTED)) {
    const explained = heardOf.has(process) || killed.has(process) || crashed.has(process) || hung.has(process)
    if (!explained) report.violate('crashed', `process ${process} was started, and has left no log`)
  }

  for (const story of stories) {
    const { process, thread, program } = story.name
    if (program === 'storm') continue
    const dead = killed.has(process) || crashed.has(process) || terminated.has(`${process}.${thread}`)
    if (!story.closed && !dead && !hung.has(process)) {
      report.violate('crashed', `${nameThread(story.name)} stops in the middle, and nobody has killed it`)
    }
    story.finish(dead && !story.closed)
  }
}

/** Has the lock of this file kept apart what it should, and nothing else? */
function judgeHolds(file, holds, final, stories, report) {
  const describe = (index) => {
    const hold = holds.at(index)
    const end = `${(hold.end / 1e9).toFixed(9)} s${hold.open ? ' or later' : ''}`
    const attempt = nameAttempt(stories[hold.log].name, { ...hold, file })
    return `${attempt}, held from ${(hold.begin / 1e9).toFixed(9)} to ${end}`
  }
  const { any, betweenProcesses } = holds.examine({
    final,
    processOf: (log) => stories[log].name.process,
    clash: (index, other) => report.violate('overlap', `${describe(other)}; and ${describe(index)}`),
    miscount(index, least, greatest) {
      const expected = least === greatest ? least : `${least} or ${greatest}`
      const who = index === undefined ? 'everybody was done' : `${describe(index)} wanted to write the next number`
      const found = index === undefined ? final : holds.at(index).value - 1
      report.violate('counter', `the counter of file ${file} was ${found} and not ${expected} when ${who}`)
    },
  })
  report.shares.any += any
  report.shares.betweenProcesses += betweenProcesses
}

/** Those that share must be seen to do so, if there are enough of them not to have missed each other by chance. */
const ENOUGH_SHARED = 100

function judgeSharing(report) {
  const shared = Object.values(report.acquires).reduce((sum, acquires) => sum + acquires.shared, 0)
  if (shared >= ENOUGH_SHARED && report.shares.any === 0) {
    report.violate('unshared', `${shared} times the lock was held shared, but never by two at once`)
  }
}

module.exports = { ENOUGH_SHARED, check }
