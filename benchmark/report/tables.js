'use strict'

// The report as sections of text and tables, for the terminal and for Markdown alike.

const { figure, ratio, spread } = require('./format.js')
const {
  OURS,
  headline,
  isOurs,
  isVariant,
  label,
  locksFile,
  obstacle,
  opponentOf,
  ranked,
  unranked,
} = require('./ranking.js')

const NONE = '–'

/** A crash can leave a long message; its first words say enough. */
const REASON_LENGTH = 160

const number = (value) => value.toLocaleString('en-US')

/** `100 waiters`, `1 process`. */
const amount = (count, things) => `${number(count)} ${count === 1 ? things.replace(/(?<=s)es$|s$/, '') : things}`

/** The spread in brackets; nothing if all rounds agree, or there is only one. */
const spreadText = (values, unit) => (values.low === values.high ? '' : ` (${spread(values, unit)})`)

/** Median and spread: `80.1 µs (78.0–82.2)`. */
function measureText({ summary }, { id, unit }) {
  const values = summary?.[id]
  return values ? figure(values.median, unit) + spreadText(values, unit) : NONE
}

/** Ours over the best peer, or the rival: `0.963 × (0.930–0.990), fs-ext`. Nothing if there is none. */
function ratioText({ summary }, { id }) {
  const values = summary?.[id]?.ratio
  if (!values) return ''
  if (values.median === null) return `${NONE}, ${values.of} (0)`
  return `${ratio(values.median)}${spreadText(values, 'ratio')}, ${values.of}`
}

/** How many times as good as the best peer, whether less is better or more: `1.23 ×`. */
function advantage({ median }, { better }) {
  if (median === null) return NONE
  if (better === 'higher') return ratio(median)
  return median === 0 ? '∞' : ratio(1 / median)
}

/** `'ahead'` of the best peer or `'behind'` in all rounds; `'level'` if the rounds do not agree. */
function standing({ median, low, high }, { better }) {
  if (median === null) return 'behind'
  const isBetter = (value) => (better === 'higher' ? value >= 1 : value <= 1)
  const ahead = [low, high].filter(isBetter).length
  return ['behind', 'level', 'ahead'][ahead]
}

/** Why there are no figures, on one line. */
function reason(contestant) {
  const text = obstacle(contestant).replace(/\s+/g, ' ').trim()
  return text.length > REASON_LENGTH ? `${text.slice(0, REASON_LENGTH - 1).trimEnd()}…` : text
}

/** Those of a row or a curve without figures, or not all, and why: `{ name, text }`. */
function reasonsIn(part) {
  const ends = part.contestants.flatMap((each) => {
    const end = each.points?.find(({ failed }) => failed)
    const where = end && `failed at ${amount(end.x, part.x)}`
    return end ? { name: label(each), text: reason(end).replace(/^failed/, where) } : []
  })
  return [...ends, ...unranked(part).map((each) => ({ name: label(each), text: reason(each) }))]
}

/** Those who have figures at one point of a curve at least. */
const measuredIn = ({ contestants }) => contestants.filter(({ points = [] }) => points.some(({ summary }) => summary))

/** The points of a curve at which anybody was measured. */
const pointsOf = ({ contestants }) =>
  [...new Set(contestants.flatMap(({ points = [] }) => points.map(({ x }) => x)))].sort((a, b) => a - b)

/** The command, the machine and the versions of a run, each in a line. */
function circumstances({ date, command, rounds, machine, versions }) {
  const { cpu, cores, memory, kernel, fileSystem } = machine
  const { node, ...packages } = versions
  return {
    run: `${command}, ${date.slice(0, 10)}, ${rounds === 1 ? 'one round' : `medians of up to ${rounds} rounds`}`,
    machine: `${cpu}, ${amount(cores, 'cores')}, ${figure(memory, 'B')} of memory, Linux ${kernel}, ${fileSystem}`,
    versions: [`Node.js ${node}`, ...Object.entries(packages).map((each) => each.join(' '))].join(', '),
  }
}

/** Ours stands out; a lock without a file, and the floor, stand back. */
const styleOf = (contestant) =>
  isOurs(contestant) || isVariant(contestant) ? 'ours' : locksFile(contestant) ? undefined : 'limit'

/** A line of a table, all its cells in one style. */
const line = (texts, style) => texts.map((text) => ({ text, style }))

/** Ours and the best peer, row by row, by the measure that each row is ranked by. */
const overview = (results) => comparison(results, isOurs, ['', OURS, 'best peer', 'advantage'])

/** The same of ours by other protocols and of our other packages, each beside its rival. */
const overviewOfVariants = (results) => comparison(results, isVariant, ['', 'ours, by protocol', 'rival', 'advantage'])

/** @param isShown which contestants have a line in each of their rows. */
function comparison({ rows }, isShown, head) {
  const lines = rows.flatMap(({ title, contestants, measures }) => {
    const measure = headline(measures)
    const medianText = ({ summary }) =>
      summary?.[measure.id] ? figure(summary[measure.id].median, measure.unit) : NONE
    return contestants.filter(isShown).map((ours) => {
      const text = ours.failed ? 'failed' : medianText(ours)
      const variant = ours.name.startsWith(OURS) ? ours.name.slice(OURS.length).trim() : ours.name
      const opponent = opponentOf(ours, contestants, measure)
      const compared = ours.summary?.[measure.id]?.ratio
      return [
        { text: `${title}: ${measure.title}` },
        { text: variant ? `${text} ${variant}` : text, style: 'ours' },
        { text: opponent ? `${medianText(opponent)} ${opponent.name}` : 'none' },
        compared ? { text: advantage(compared, measure), style: standing(compared, measure) } : { text: '' },
      ]
    })
  })
  return lines.length > 0 ? [line(head, 'head'), ...lines] : undefined
}

/** A row of the benchmark. Its contestants stand below each other, best first. */
function rowSection(row) {
  const { title, detail, measures } = row
  const entries = ranked(row)
  const ratios = entries
    .filter((each) => isOurs(each) || isVariant(each))
    .map((each) => {
      const name = isOurs(each) ? 'ours / best peer' : `${each.name} / rival`
      return [name, ...measures.map((measure) => ratioText(each, measure))]
    })
  const table = [
    line(['', ...measures.map((measure) => measure.title)], 'head'),
    ...entries.map((each) =>
      line([label(each), ...measures.map((measure) => measureText(each, measure))], styleOf(each)),
    ),
    ...ratios.filter(([, ...texts]) => texts.some(Boolean)).map((texts) => line(texts, 'ratio')),
  ]
  return { title, detail, tables: entries.length > 0 ? [table] : [], notes: reasonsIn(row) }
}

/** A curve, with a table for each measure. The points stand side by side. */
function curveSection(curve) {
  const points = pointsOf(curve)
  const textAt = (each, x, { id, unit }) => {
    const values = each.points.find((point) => point.x === x)?.summary?.[id]
    return values ? figure(values.median, unit) : ''
  }
  const tables = curve.measures.map((measure) => [
    line([`${measure.title}, by ${curve.x}`, ...points.map(number)], 'head'),
    ...measuredIn(curve).map((each) =>
      line([label(each), ...points.map((x) => textAt(each, x, measure))], styleOf(each)),
    ),
  ])
  return { title: curve.title, detail: curve.detail, chart: `scaling-${curve.id}`, tables, notes: reasonsIn(curve) }
}

/** A section for each row and curve: `{ title, detail, chart, tables, notes }`. */
const sections = ({ rows, curves }) => [...rows.map(rowSection), ...curves.map(curveSection)]

module.exports = {
  amount,
  circumstances,
  measuredIn,
  number,
  overview,
  overviewOfVariants,
  pointsOf,
  reasonsIn,
  sections,
}
