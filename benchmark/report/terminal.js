'use strict'

// The report on a terminal.

const { circumstances, overview, overviewOfVariants, sections } = require('./tables.js')

const NARROWEST = 80
const WIDEST = 120
const INDENT = '  '

const CODES = { title: 1, head: 2, limit: 2, ratio: 2, behind: 31, ahead: 32, level: 33, ours: 36 }

/** The width of tables on that stream, and whether it shows colours. */
function look(stream, env = process.env) {
  const colours = Boolean(stream.isTTY) && !env.NO_COLOR && env.TERM !== 'dumb'
  return { width: Math.min(WIDEST, Math.max(NARROWEST, stream.columns ?? WIDEST)), colours }
}

/** The whole report, as text. */
function terminal(results, { width = WIDEST, colours = false } = {}) {
  const paint = (text, style) => (colours && style && text ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text)
  const text = (string, style) => wrap(string, width - INDENT.length).map((each) => INDENT + paint(each, style))
  const tableOf = (rows) => parts(rows, width).flatMap((part) => ['', ...part.map((row) => lineOf(row, paint))])
  const section = ({ title, detail, tables, notes }) => [
    paint(title, 'title'),
    ...(detail ? text(detail, 'head') : []),
    ...tables.flatMap(tableOf),
    ...(notes.length > 0 ? ['', ...notes.flatMap((note) => text(`${note.name}: ${note.text}`))] : []),
  ]
  const { run, machine, versions } = circumstances(results.measured)
  // At the end, where it is still on the screen.
  const summaries = [
    { title: 'Ours by other protocols, and their rivals', table: overviewOfVariants(results) },
    { title: 'Ours, and the best of the peers that lock a file', table: overview(results) },
  ]
  const blocks = [
    [run, machine, versions].flatMap((each) => text(each, 'head')),
    ...sections(results).map(section),
    ...summaries.filter(({ table }) => table).map(({ title, table }) => section({ title, tables: [table], notes: [] })),
  ]
  return `${blocks.map((block) => block.join('\n')).join('\n\n')}\n`
}

const widthOf = (rows) => rows[0].reduce((sum, { text }) => sum + text.length + 2, 0)

/** A table cut into as few as fit the width, its cells padded. Each has the first column, and it is to the left. */
function parts(rows, width) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].text.length)))
  const padded = rows.map((row) =>
    row.map(({ text, style }, column) => ({
      text: column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column]),
      style,
    })),
  )
  const found = []
  for (const column of widths.keys()) {
    if (column === 0) continue
    const longer = found.at(-1)?.map((row, index) => [...row, padded[index][column]])
    if (longer && widthOf(longer) <= width) found[found.length - 1] = longer
    else found.push(padded.map((row) => [row[0], row[column]]))
  }
  return found
}

const lineOf = (row, paint) => (INDENT + row.map(({ text, style }) => paint(text, style)).join(INDENT)).trimEnd()

/** Lines of at most `width`, broken between words; a longer word is cut. */
const wrap = (text, width) =>
  text.match(new RegExp(`\\S.{0,${width - 1}}(?!\\S)|\\S{${width}}`, 'g')).map((each) => each.trimEnd())

module.exports = { look, terminal }
