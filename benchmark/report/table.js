'use strict'

// The results on a terminal: a block a row, the contestants best first.

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
  standing,
} = require('./cells.js')
const { grid, painter, wrap } = require('./grid.js')
const { isOurs, label, locksFile, ranked } = require('./ranking.js')

const NARROWEST = 80
const WIDEST = 120
const INDENT = '  '

const STANDINGS = { ahead: 'green', level: 'yellow', behind: 'red' }

/** How wide a table may be on that stream, and how it is painted. */
function look(stream, env = process.env) {
  const colours = Boolean(stream.isTTY) && !env.NO_COLOR && env.TERM !== 'dumb'
  return { width: Math.min(WIDEST, Math.max(NARROWEST, stream.columns ?? WIDEST)), paint: painter(colours) }
}

/** All results, as text. */
function table(results, { width = WIDEST, paint = painter(false) } = {}) {
  const { measured, rows, curves } = results
  const blocks = [
    headingLines(measured, { width, paint }),
    ...rows.map((row) => rowLines(row, { width, paint })),
    ...curves.map((curve) => curveLines(curve, { width, paint })),
    overviewLines(results, { width, paint }),
  ]
  const lines = blocks.filter((block) => block.length > 0).map((block) => block.join('\n'))
  return `${lines.join('\n\n')}\n`
}

function headingLines(measured, { width, paint }) {
  const { run, machine, versions } = circumstances(measured)
  return [run, machine, versions].flatMap((text) => wrap(text, width, INDENT)).map((line) => paint(line, 'dim'))
}

const titleLines = ({ title, detail }, { width, paint }) => [
  paint(title, 'bold'),
  ...wrap(detail, width - INDENT.length).map((line) => INDENT + paint(line, 'dim')),
]

/** Ours stands out; who locks no file stands back. */
const styleOf = (contestant) => (isOurs(contestant) ? 'cyan' : locksFile(contestant) ? undefined : 'dim')

function rowLines(row, { width, paint }) {
  const entries = ranked(row)
  const parts = entries.length > 0 ? partsThatFit(row.measures, entries, width) : []
  return [
    ...titleLines(row, { width, paint }),
    ...parts.flatMap((measures) => ['', ...grid(measureCells(measures, entries), paint)]),
    ...reasonLines(row, { width, paint }),
  ]
}

/** The measures in parts, as many side by side as fit the width. */
function partsThatFit(measures, entries, width) {
  const fits = (part) => grid(measureCells(part, entries)).every((line) => line.length <= width)
  const parts = []
  for (const measure of measures) {
    if (parts.length > 0 && fits([...parts.at(-1), measure])) parts.at(-1).push(measure)
    else parts.push([measure])
  }
  return parts
}

const dim = (text = '', right = false) => ({ text, style: 'dim', right })

/** Two columns a measure: the median, and its spread. */
function measureCells(measures, entries) {
  const ours = entries.find(isOurs)
  return [
    [dim(), ...measures.flatMap(({ title }) => [dim(title, true), dim()])],
    ...entries.map((contestant) => entryCells(contestant, measures)),
    ...(ours ? ratioCells(ours, measures) : []),
  ]
}

function entryCells(contestant, measures) {
  const style = styleOf(contestant)
  const cells = measures.flatMap((measure) => {
    const { median, spread } = measureTexts(contestant, measure)
    return [{ text: median, style, right: true }, dim(spread)]
  })
  return [{ text: label(contestant), style }, ...cells]
}

/** Below the figures: ours over the best peer's, and who that is. Nothing where there is no peer. */
function ratioCells(ours, measures) {
  const entries = measures.map((measure) => ({ measure, texts: ratioTexts(ours, measure) }))
  if (!entries.some(({ texts }) => texts)) return []
  const ratios = entries.flatMap(({ measure, texts }) => {
    const style = texts && STANDINGS[standing(ours.summary[measure.id].ratio, measure)]
    return [{ text: texts?.median ?? '', style, right: true }, dim(texts?.spread)]
  })
  const names = entries.flatMap(({ texts }) => [dim(), dim(texts?.of)])
  return [
    [dim('ours / best peer'), ...ratios],
    [dim('best peer'), ...names],
  ]
}

/** Who has no figures, or not all, and beside it why, which may take some lines. */
function reasonLines(part, { width, paint }) {
  const reasons = reasonsIn(part)
  const nameWidth = Math.max(...reasons.map(({ name }) => name.length)) + INDENT.length
  const lines = reasons.flatMap(({ name, text, failed }) =>
    wrap(text, width - INDENT.length - nameWidth).map((line, index) => {
      const margin = (index === 0 ? name : '').padEnd(nameWidth)
      return INDENT + margin + paint(line, failed ? 'red' : 'dim')
    }),
  )
  return lines.length > 0 ? ['', ...lines] : []
}

/** A table for each measure: the contestants below each other, the points of the curve side by side. */
function curveLines(curve, { width, paint }) {
  const entries = measuredIn(curve)
  return [
    ...titleLines(curve, { width, paint }),
    ...curve.measures.flatMap((measure) => ['', ...grid(pointCells(curve, measure, entries), paint)]),
    ...reasonLines(curve, { width, paint }),
  ]
}

function pointCells(curve, measure, entries) {
  const points = pointsOf(curve)
  return [
    [dim(`${measure.title}, by ${curve.x}`), ...points.map((x) => dim(number(x), true))],
    ...entries.map((contestant) => {
      const style = styleOf(contestant)
      const texts = points.map((x) => pointText(contestant, x, measure))
      return [{ text: label(contestant), style }, ...texts.map((text) => ({ text, style, right: true }))]
    }),
  ]
}

/** At the end, where it is still on the screen: how ours compares, a line a row. */
function overviewLines(results, { width, paint }) {
  const entries = overview(results)
  if (entries.length === 0) return []
  const cells = entries.map(({ title, measure, ours, peer, advantage, standing: style }) => [
    { text: `${title}: ${measure.title}` },
    { text: ours, style: 'cyan', right: true },
    { text: peer?.median ?? '', right: true },
    { text: peer?.name ?? 'none' },
    { text: advantage ?? '', style: STANDINGS[style], right: true },
  ])
  const rows = [[dim(), dim('ours', true), dim('best peer', true), dim(), dim('advantage', true)], ...cells]
  const title = [paint('Ours, and the best of the peers that lock a file', 'bold'), '']
  if (grid(rows).every((line) => line.length <= width)) return [...title, ...grid(rows, paint)]
  // Too narrow: the figures below their titles.
  const figures = grid(
    rows.map(([, ...others]) => others),
    paint,
    INDENT.repeat(2),
  )
  return [...title, figures[0], ...entries.flatMap((_, index) => [INDENT + cells[index][0].text, figures[index + 1]])]
}

module.exports = { look, table }
