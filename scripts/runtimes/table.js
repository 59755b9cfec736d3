'use strict'

// What was shown on which runtime, as a table, with the reasons for what cannot be.

/** The name of a runtime without the version that was asked for, and the one that it is. */
const titleOf = ({ name, version }) => `${name.replace(/@.*/, '')} ${version}`

/** The behaviours, in the order in which they were shown. */
const namesIn = (columns) => [...new Set(columns.flatMap(({ verdicts }) => [...verdicts.keys()]))]

/** The limits that were met, each with the runtimes on which it was. */
function limitsIn(columns) {
  const met = new Map()
  for (const { runtime, verdicts } of columns) {
    for (const { kind, limit } of verdicts.values()) {
      if (kind === 'cannot') met.set(limit, [...(met.get(limit) ?? []), titleOf(runtime)])
    }
  }
  return [...met].map(([{ behaviour, reason }, titles]) => ({ behaviour, reason, runtimes: titles.join(', ') }))
}

/** For a terminal. */
function asText(columns) {
  const rows = [
    ['', ...columns.map(({ runtime }) => titleOf(runtime))],
    ...namesIn(columns).map((name) => [name, ...columns.map(({ verdicts }) => verdicts.get(name)?.kind ?? '')]),
  ]
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)))
  const lines = rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  )
  for (const { behaviour, reason, runtimes } of limitsIn(columns)) {
    lines.push('', `${runtimes} cannot: ${behaviour}`, `  ${reason}`)
  }
  for (const { runtime, verdicts } of columns) {
    for (const { kind, limit } of verdicts.values()) {
      if (kind === 'works now')
        lines.push('', `${titleOf(runtime)} can by now: ${limit.behaviour}. Take it off the list`)
    }
  }
  return lines.join('\n')
}

const CELLS = { passed: 'yes', 'works now': 'yes', cannot: '**no**', failed: '**fails**' }

/** For docs/runtimes.md. The columns are aligned as formatters of Markdown do it. */
function asMarkdown(columns) {
  const rows = [
    ['', ...columns.map(({ runtime }) => titleOf(runtime))],
    ...namesIn(columns).map((name) => [name, ...columns.map(({ verdicts }) => CELLS[verdicts.get(name)?.kind] ?? '')]),
  ]
  const widths = rows[0].map((_, i) => Math.max(3, ...rows.map((row) => row[i].length)))
  const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`
  const [head, ...body] = rows.map(line)
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  const limits = limitsIn(columns).map(
    ({ behaviour, reason, runtimes }) => `- **${behaviour}** (not on ${runtimes}): ${reason}`,
  )
  const where = `Shown on ${process.platform}, ${process.arch}.`
  return `\n${[head, rule, ...body].join('\n')}\n\n${where}\n\n${limits.join('\n')}\n\n`
}

module.exports = { asMarkdown, asText }
