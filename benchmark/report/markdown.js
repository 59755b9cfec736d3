'use strict'

// The sections of README files that are made of results.json: no figure in them is typed by hand.

const { charts } = require('./charts.js')
const { circumstances, overview, overviewOfVariants, sections } = require('./tables.js')

/** What stands between the two comments is replaced. */
const SECTION = /(<!-- benchmark:(summary|report) -->\n)[\s\S]*?(<!-- \/benchmark -->)/g

/** The chart of the package's README, and those of the benchmark's own that belong to no section. */
const SUMMARY_CHARTS = ['throughput']
const REPORT_CHARTS = ['hand-over', 'throughput', 'waiters']

/** How a cell of that style is written. */
const STYLES = { ours: (text) => `**${text}**`, ahead: (text) => `**${text}**` }

/** Escapes what Markdown would interpret. */
const escaped = (text) => text.replace(/[\\`*_<|]/g, '\\$&')

/** @param rows the first is the header. All columns but the first are aligned to the right. */
function markdownTable(rows) {
  const [header, ...texts] = rows.map((row, index) =>
    row.map(({ text, style }, column) => {
      if (style === 'ratio' && column === 0) return `_${text}_`
      return text && index > 0 && STYLES[style] ? STYLES[style](escaped(text)) : escaped(text)
    }),
  )
  const widths = header.map((_, column) => Math.max(3, ...[header, ...texts].map((row) => row[column].length)))
  const line = (cells) => `| ${cells.join(' | ')} |`
  const padded = (row) => line(widths.map((width, column) => row[column][column ? 'padStart' : 'padEnd'](width)))
  const rule = line(widths.map((width, column) => (column ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))))
  return [padded(header), rule, ...texts.map(padded)].join('\n')
}

/** A heading, a chart or else what is done, the tables, and the reasons of those who are not in them. */
const markdownSection = ({ title, detail, tables, notes }, picture) =>
  [
    `### ${escaped(title)}`,
    picture ?? escaped(detail),
    ...tables.map(markdownTable),
    ...(notes.length > 0 ? [notes.map(({ name, text }) => `- ${escaped(name)}: ${escaped(text)}`).join('\n')] : []),
  ].join('\n\n')

/** A chart, in the colours of the reader's page. `folder`: where the charts are, seen from the page. */
function picture({ id, title, description }, folder) {
  const alt = `${title}. ${description}`.replace(/&/g, '&amp;').replace(/"/g, '&quot;').replace(/</g, '&lt;')
  return [
    '<picture>',
    `  <source media="(prefers-color-scheme: dark)" srcset="${folder}/${id}-dark.svg">`,
    `  <img src="${folder}/${id}-light.svg" width="640" alt="${alt}">`,
    '</picture>',
  ].join('\n')
}

/** Where and how it was measured. */
function circumstancesText(measured) {
  const { run, machine, versions } = circumstances(measured)
  return `Measured with \`${measured.command}\` (${run.slice(measured.command.length + 2)}) on ${escaped(machine)}, with ${escaped(versions)}.`
}

const SECTIONS = {
  /** For the package's README: one chart. */
  summary: (_, pictures) => SUMMARY_CHARTS.flatMap((id) => pictures[id] ?? []),
  /** For the benchmark's README: every figure. */
  report: (results, pictures) => [
    circumstancesText(results.measured),
    ...[overview(results), overviewOfVariants(results)].filter(Boolean).map(markdownTable),
    ...REPORT_CHARTS.flatMap((id) => pictures[id] ?? []),
    ...sections(results).map((section) => markdownSection(section, pictures[section.chart])),
  ],
}

/**
 * `text` of a README with its sections made anew.
 *
 * @param folder where the charts are, seen from the README.
 * @throws {Error} if there is no section: its figures would stay what they were.
 */
function rewrite(text, results, folder) {
  const pictures = Object.fromEntries(charts(results).map((chart) => [chart.id, picture(chart, folder)]))
  let count = 0
  const rewritten = text.replace(SECTION, (_, begin, name, end) => {
    count++
    return `${begin}\n${SECTIONS[name](results, pictures).join('\n\n')}\n\n${end}`
  })
  if (count === 0) throw new Error('there is no section <!-- benchmark:summary --> or <!-- benchmark:report -->')
  return rewritten
}

module.exports = { rewrite }
