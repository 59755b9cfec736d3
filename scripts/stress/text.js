'use strict'

// The report of a storm, for people.

const count = (number) => number.toLocaleString('en-US')
const ms = (ns) => `${(ns / 1e6).toFixed(1)} ms`

/** What the programs are called. */
const NAMES = { node: '@locket/native', locket: 'locket (Python)', filelock: 'filelock (Python)', flock: 'flock(1)' }

function describe(report, { seconds, remarks }) {
  const { acquires, rejections, endedByDeath, longestWait, shares } = report
  const total = { exclusive: 0, shared: 0, sync: 0 }
  for (const each of Object.values(acquires)) for (const key in total) total[key] += each[key]
  const rows = [
    ['seconds', seconds.toFixed(1)],
    ['acquires', acquiresOf(total), `${count(Math.round((total.exclusive + total.shared) / seconds))} a second`],
    ...Object.keys(NAMES)
      .filter((program) => acquires[program])
      .map((program) => {
        const { sync } = acquires[program]
        return [`  ${NAMES[program]}`, acquiresOf(acquires[program]), program === 'node' ? `${count(sync)} sync` : '']
      }),
    [
      'rejections',
      count(rejections.timedOut + rejections.aborted + rejections.refused),
      `${count(rejections.timedOut)} timed out, ${count(rejections.aborted)} aborted, ${count(rejections.refused)} tries`,
    ],
    ['kills', count(report.kills), `${count(endedByDeath.holds)} of the killed and terminated held a lock,`],
    ['terminations', count(report.terminations), `${count(endedByDeath.waits)} of their attempts were waiting`],
    ['longest wait', ms(longestWait.ns), longestWait.who],
    ['overlaps of shared', count(shares.any), `${count(shares.betweenProcesses)} between processes`],
    ['events', count(report.events)],
    ['violations', count(report.violationCount)],
  ]
  const lines = rows.map(([name, value, more]) => `${name.padEnd(20)} ${value}${more ? `: ${more}` : ''}`)
  for (const [kind, { count: number, told }] of Object.entries(report.violations)) {
    lines.push('', `${kind}: ${count(number)}`, ...told.map((text) => `  ${text}`))
    if (number > told.length) lines.push('  …')
  }
  if (remarks.length > 0) lines.push('', ...remarks)
  return lines
}

const acquiresOf = ({ exclusive, shared }) =>
  `${count(exclusive + shared)} (${count(exclusive)} exclusive, ${count(shared)} shared)`

module.exports = { describe }
