'use strict'

// Which charts there are, and what each shows of the results. draw.mjs draws them.

const { figure, isSize, isTime } = require('./format.js')
const { headline, isOurs, isVariant, label, locksFile, medianOf, ranked } = require('./ranking.js')
const { amount, circumstances, measuredIn, number, pointsOf, reasonsIn } = require('./tables.js')

const [FEW, MANY] = [1000, 10_000]

/** The row of that id, if any contestant has figures in it. */
const rowOf = ({ rows }, id) => rows.find((row) => row.id === id && ranked(row).length > 0)

/** The file locks, best first, and then those that only show a limit. Variants of ours are in the tables. */
const shown = (row) =>
  [true, false].flatMap((locks) => ranked(row).filter((each) => !isVariant(each) && locksFile(each) === locks))

/** How every chart draws a contestant. `limit`: it locks no file, and is shown for scale. */
const looks = (contestant) => ({ name: label(contestant), ours: isOurs(contestant), limit: !locksFile(contestant) })

/** A median and its text; undefined if there is none. */
function shownValue(contestant, measure) {
  const value = contestant && medianOf(contestant, measure)
  return value === undefined ? undefined : { value, text: figure(value, measure.unit) }
}

/** The values of a panel in words, for readers who cannot see it. */
const inWords = (entries) =>
  entries.map(({ name, values }) => `${name} ${values.map((value) => value?.text ?? 'none').join(', ')}`).join('; ')

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
    panels: [{ kind: 'ranges', keys: ['p50', 'p99'], entries, unit: measures[0].unit }],
    notes: reasonsIn(row),
  }
}

function throughput(results) {
  const panels = [
    ['uncontended-async', 'Asynchronous'],
    ['uncontended-sync', 'Synchronous'],
  ].flatMap(([id, heading]) => {
    const row = rowOf(results, id)
    if (!row || !ranked(row).some(locksFile)) return []
    const entries = shown(row).map((each) => ({ ...looks(each), values: [shownValue(each, headline(row.measures))] }))
    return { kind: 'bars', heading, entries, notes: reasonsIn(row) }
  })
  if (panels.length === 0) return undefined
  return {
    title: 'Acquire and release, uncontended',
    subtitle: 'Pairs per second, one after the other, on a file that nobody else wants. More is better.',
    description: panels.map(({ heading, entries }) => `${heading}: ${inWords(entries)}.`).join(' '),
    panels,
    notes: panels.flatMap(({ notes }) => notes),
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
    panels: [{ kind: 'ranges', keys: [number(FEW), number(MANY)], entries, unit: headline(few.measures).unit }],
    notes: [...failedLater, ...without],
  }
}

/** The chart of a curve, with a panel each for time, threads and memory. */
function scaling(curve) {
  const points = pointsOf(curve)
  const contestants = measuredIn(curve)
  if (points.length < 2) return undefined
  const peers = contestants.filter((each) => !isOurs(each) && locksFile(each))
  const seriesOf = (each, measure) => ({
    ...looks(each),
    rank: peers.indexOf(each),
    values: each.points.flatMap((point) => {
      const value = shownValue(point, measure)
      return value ? { x: point.x, ...value } : []
    }),
    broken: Boolean(each.points.at(-1).failed),
  })
  const panels = curve.measures
    .filter(({ unit }) => isTime(unit) || isSize(unit) || unit === 'threads')
    .map((measure) => {
      const series = contestants.map((each) => seriesOf(each, measure)).filter(({ values }) => values.length > 0)
      return { kind: 'lines', heading: capitalised(measure.title), x: curve.x, points, unit: measure.unit, series }
    })
    .filter(({ series }) => series.length > 0)
  if (panels.length === 0) return undefined
  const ends = ({ name, values }) => `${name} ${values.at(-1).text} at ${amount(values.at(-1).x, curve.x)}`
  return {
    title: curve.title,
    subtitle: `${curve.detail.split(/(?<=\.)\s/)[0]} Logarithmic axes; less is better.`,
    description: panels.map(({ heading, series }) => `${heading}: ${series.map(ends).join('; ')}.`).join(' '),
    panels,
    notes: reasonsIn(curve),
  }
}

const capitalised = (text) => text[0].toUpperCase() + text.slice(1)

/** All charts that there are figures for: `{ id, title, subtitle, description, panels, notes, footer }`. */
function charts(results) {
  const { run, machine } = circumstances(results.measured)
  return [
    { id: 'hand-over', ...handOver(results) },
    { id: 'throughput', ...throughput(results) },
    { id: 'waiters', ...waiters(results) },
    ...results.curves.map((curve) => ({ id: `scaling-${curve.id}`, ...scaling(curve) })),
  ]
    .filter(({ panels }) => panels)
    .map((chart) => ({ ...chart, footer: [machine, run] }))
}

module.exports = { charts }
