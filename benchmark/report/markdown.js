'use strict'

// The results in Markdown: the same tables as on the terminal, and the charts.

const {
  circumstances,
  measuredIn,
  measureTexts,
  number,
  overview,
  pointsOf,
  pointText,
  ratioTexts,
  reasonsIn,
} = require('./cells.js')
const { OURS, isOurs, label, ranked } = require('./ranking.js')

/** What Markdown would take for its own. */
const escaped = (text) => text.replace(/[\\`*_<|]/g, '\\$&')

const bold = (text) => (text ? `**${text}**` : '')
const bracketed = (text) => (text ? ` (${text})` : '')

/** @param rows lists of texts, the first of them the header. All columns but the first are aligned to the right. */
function markdownTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => (row[column] ?? '').length)))
  const line = (cells) => `| ${cells.join(' | ')} |`
  const padded = rows.map((row) =>
    line(
      widths.map((width, column) =>
        column === 0 ? (row[0] ?? '').padEnd(width) : (row[column] ?? '').padStart(width),
      ),
    ),
  )
  const rule = line(widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)))
  return [padded[0], rule, ...padded.slice(1)].join('\n')
}

/** Who does better than whom, a line a row. */
function overviewTable(results) {
  const lines = overview(results).map(({ title, measure, ours, peer, advantage, standing }) => [
    escaped(`${title}: ${measure.title}`),
    bold(escaped(ours)),
    peer ? `${peer.median} ${escaped(peer.name)}` : 'none',
    standing === 'ahead' ? bold(advantage) : (advantage ?? ''),
  ])
  return markdownTable([['', OURS, 'best peer', 'advantage'], ...lines])
}

/** A row of the benchmark: a heading, what is done, a table, and the reasons of those that are not in it. */
function rowSection(row) {
  const { title, detail, measures } = row
  const entries = ranked(row)
  const ours = entries.find(isOurs)
  const cell = (contestant) => (measure) => {
    const { median, spread } = measureTexts(contestant, measure)
    return median + bracketed(spread)
  }
  const lines = entries.map((contestant) => {
    const texts = [escaped(label(contestant)), ...measures.map(cell(contestant))]
    return isOurs(contestant) ? texts.map(bold) : texts
  })
  const ratios = measures.map((measure) => (ours ? ratioTexts(ours, measure) : undefined))
  if (ratios.some(Boolean)) {
    const texts = ratios.map((ratio) =>
      ratio ? `${ratio.median}${bracketed(ratio.spread)}, ${escaped(ratio.of)}` : '',
    )
    lines.push(['_ours / best peer_', ...texts])
  }
  const header = ['', ...measures.map((measure) => escaped(measure.title))]
  const blocks = [`### ${escaped(title)}`, escaped(detail)]
  if (entries.length > 0) blocks.push(markdownTable([header, ...lines]))
  return [...blocks, ...reasonList(row)].join('\n\n')
}

/** A curve: its chart, and the figures below it. */
function curveSection(curve, picture) {
  const points = pointsOf(curve)
  const entries = measuredIn(curve)
  const tables = curve.measures.map((measure) => {
    const header = [escaped(`${measure.title}, by ${curve.x}`), ...points.map(number)]
    const lines = entries.map((each) => [escaped(label(each)), ...points.map((x) => pointText(each, x, measure))])
    return markdownTable([header, ...lines.map((texts, index) => (isOurs(entries[index]) ? texts.map(bold) : texts))])
  })
  return [
    `### ${escaped(curve.title)}`,
    ...(picture ? [picture] : [escaped(curve.detail)]),
    ...tables,
    ...reasonList(curve),
  ].join('\n\n')
}

/** Who has no figures, or not all, and why; nothing if there is nobody. */
function reasonList(part) {
  const lines = reasonsIn(part).map(({ name, text }) => `- ${escaped(name)}: ${escaped(text)}`)
  return lines.length > 0 ? [lines.join('\n')] : []
}

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

module.exports = { circumstancesText, curveSection, overviewTable, picture, rowSection }
