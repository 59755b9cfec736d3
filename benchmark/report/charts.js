'use strict'

// Which charts there are, and what of the results each shows.

const { amount, circumstances, measuredIn, measureTexts, number, pointsOf, reasonsIn } = require('./cells.js')
const { bars } = require('./chart-bars.js')
const { lines } = require('./chart-lines.js')
const { widthOfNames } = require('./chart-names.js')
const { ranges } = require('./chart-range.js')
const { figure, isSize, isTime } = require('./format.js')
const { headline, isOurs, label, locksFile, medianOf, ranked } = require('./ranking.js')
const { frame, paragraph, textWidth } = require('./svg.js')
const { SIZES, THEMES } = require('./theme.js')

const FEW = 1000
const MANY = 10_000

/** How many greys there are for the lines of the peers. */
const GREYS = THEMES.light.greys.length

/** A row that somebody has figures in. */
const rowOf = ({ rows }, id) => rows.find((row) => row.id === id && ranked(row).length > 0)

/** The file locks best first, and below them what only shows a limit. */
const shown = (row) => [...ranked(row).filter(locksFile), ...ranked(row).filter((each) => !locksFile(each))]

/** How a contestant is drawn, whatever is drawn. */
const looks = (contestant) => ({ name: label(contestant), ours: isOurs(contestant), limit: !locksFile(contestant) })

/** A value with the text that stands beside it; undefined where there is none. */
function shownValue(contestant, measure) {
  const value = contestant && medianOf(contestant, measure)
  return value === undefined ? undefined : { value, text: measureTexts(contestant, measure).median }
}

/** The values of a chart in words, for those who cannot see it. */
const inWords = (entries) =>
  entries.map(({ name, values }) => `${name} ${values.map((value) => value?.text ?? 'none').join(', ')}`).join('; ')

/** Below the axis: those that have no bar, or not all, each with the reason. Nothing if there is nobody. */
function notes(reasons) {
  if (reasons.length === 0) return []
  const draw = (top) => {
    const content = []
    let height = 0
    for (const { name, text } of reasons) {
      const part = paragraph(top + height, text, { lead: `${name}:` })
      content.push(...part.content)
      height += part.height + 4
    }
    return { content, height }
  }
  return [draw]
}

function handOver(results) {
  const row = rowOf(results, 'hand-over')
  if (!row) return undefined
  const measures = row.measures.filter(({ id }) => id === 'p50' || id === 'p99')
  const entries = shown(row).map((each) => ({
    ...looks(each),
    values: measures.map((measure) => shownValue(each, measure)),
  }))
  return {
    title: row.title,
    subtitle:
      'From the release in one process until the waiter in the other has the lock: median (p50) and the slowest of a ' +
      'hundred (p99). Logarithmic axis; less is better.',
    description: `p50 and p99: ${inWords(entries)}.`,
    parts: [ranges({ keys: ['p50', 'p99'], entries, unit: measures[0].unit }), ...notes(reasonsIn(row))],
  }
}

function throughput(results) {
  const panels = [
    ['uncontended-async', 'Asynchronous'],
    ['uncontended-sync', 'Synchronous'],
  ].flatMap(([id, heading]) => {
    const row = rowOf(results, id)
    if (!row || !ranked(row).some(locksFile)) return []
    const measure = headline(row.measures)
    const entries = shown(row).map((each) => ({ ...looks(each), ...shownValue(each, measure) }))
    return { heading, entries, reasons: reasonsIn(row) }
  })
  if (panels.length === 0) return undefined
  const nameWidth = widthOfNames(panels.flatMap(({ entries }) => entries))
  const words = ({ heading, entries }) =>
    `${heading}: ${entries.map((each) => `${each.name} ${each.text}`).join('; ')}.`
  return {
    title: 'Acquire and release, uncontended',
    subtitle: 'Pairs per second, one after the other, on a file that nobody else wants. More is better.',
    description: panels.map(words).join(' '),
    parts: panels.flatMap(({ heading, entries, reasons }) => [
      bars({ heading, entries, nameWidth }),
      ...notes(reasons),
    ]),
  }
}

function waiters(results) {
  const [few, many] = [FEW, MANY].map((count) => rowOf(results, `waiters-${count}`))
  if (!few || !many) return undefined
  const entries = shown(few).map((each) => {
    const same = many.contestants.find(({ name }) => name === each.name)
    return {
      ...looks(each),
      values: [shownValue(each, headline(few.measures)), shownValue(same, headline(many.measures))],
    }
  })
  const without = reasonsIn(few)
  const failedLater = reasonsIn(many)
    .filter(({ name }) => without.every((each) => each.name !== name))
    .map(({ name, text }) => ({ name, text: `with ${number(MANY)} ${text}` }))
  return {
    title: 'Many waiters on one file in one process',
    subtitle: `Until ${number(FEW)}, and ${number(MANY)}, waiters have been served, all started at once. Logarithmic axis; less is better.`,
    description: `${number(FEW)} and ${number(MANY)} waiters: ${inWords(entries)}.`,
    parts: [
      ranges({ keys: [number(FEW), number(MANY)], entries, unit: headline(few.measures).unit }),
      ...notes([...failedLater, ...without]),
    ],
  }
}

/** A chart for a curve, with a panel each for time, threads and memory. */
function scaling(curve) {
  const points = pointsOf(curve)
  const contestants = measuredIn(curve)
  const measures = curve.measures.filter(({ unit }) => isTime(unit) || isSize(unit) || unit === 'threads')
  if (contestants.length === 0 || points.length < 2) return undefined
  const peers = contestants.filter((each) => !isOurs(each) && locksFile(each))
  const nameWidth = Math.max(...contestants.map((each) => textWidth(label(each), SIZES.small)))
  const seriesOf = (measure) =>
    contestants
      .map((each) => ({
        ...looks(each),
        shade: Math.max(0, peers.indexOf(each)) % GREYS,
        values: each.points.flatMap((point) => {
          const value = medianOf(point, measure)
          return value === undefined ? [] : { x: point.x, value }
        }),
        broken: Boolean(each.points.at(-1).failed),
      }))
      .filter(({ values }) => values.length > 0)
  const panels = measures.map((measure) => ({ measure, series: seriesOf(measure) }))
  return {
    title: curve.title,
    subtitle: `${firstSentence(curve.detail)} Logarithmic axes; less is better.`,
    description: panels.map((panel) => curveInWords(panel, curve)).join(' '),
    parts: [
      ...panels.map(({ measure, series }) =>
        lines({ heading: capitalised(measure.title), x: curve.x, points, unit: measure.unit, series, nameWidth }),
      ),
      ...notes(reasonsIn(curve)),
    ],
  }
}

/** Where each line ends. */
function curveInWords({ measure, series }, { x }) {
  const ends = series.map(({ name, values }) => {
    const last = values.at(-1)
    return `${name} ${figure(last.value, measure.unit)} at ${amount(last.x, x)}`
  })
  return `${capitalised(measure.title)}: ${ends.join('; ')}.`
}

const firstSentence = (text) => text.split(/(?<=\.)\s/)[0]
const capitalised = (text) => text[0].toUpperCase() + text.slice(1)

/** All charts that there are figures for: `{ id, title, description, svg: { light, dark } }`. */
function charts(results) {
  const { run, machine } = circumstances(results.measured)
  const found = [
    ['hand-over', handOver(results)],
    ['throughput', throughput(results)],
    ['waiters', waiters(results)],
    ...results.curves.map((curve) => [`scaling-${curve.id}`, scaling(curve)]),
  ].filter(([, chart]) => chart)
  return found.map(([id, chart]) => {
    const draw = (theme) => frame({ ...chart, footer: [machine, run], theme })
    return {
      id,
      title: chart.title,
      description: chart.description,
      svg: { light: draw(THEMES.light), dark: draw(THEMES.dark) },
    }
  })
}

module.exports = { charts }
