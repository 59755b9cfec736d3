'use strict'

// What stands in the tables, on the terminal and in Markdown alike.

const { figure, ratio, spread } = require('./format.js')
const { bestPeer, headline, isOurs, label, obstacle, unranked } = require('./ranking.js')

const NONE = '–'

/** What a crash leaves behind can be long; its first words say enough. */
const REASON_LENGTH = 160

/** Median and spread of one measure; where all rounds agree, or there is but one, there is no spread. */
function measureTexts({ summary }, { id, unit }) {
  const values = summary?.[id]
  if (!values) return { median: NONE, spread: '' }
  return { median: figure(values.median, unit), spread: spreadText(values, unit) }
}

const spreadText = (values, unit) => (values.low === values.high ? '' : spread(values, unit))

/** How ours compares with the best peer: `0.963 ×`, `0.930–0.990`, `fs-ext`. Nothing where there is no such peer. */
function ratioTexts({ summary }, { id }) {
  const values = summary?.[id]?.ratio
  if (!values) return undefined
  if (values.median === null) return { median: NONE, spread: '', of: `${values.of} (0)` }
  return { median: ratio(values.median), spread: spreadText(values, 'ratio'), of: values.of }
}

/** How many times as good as the best peer, whether less is better or more: `1.23 ×`. */
function advantage({ median }, { better }) {
  if (median === null) return NONE
  if (better === 'higher') return ratio(median)
  return median === 0 ? '∞' : ratio(1 / median)
}

/** `'ahead'` of the best peer, or `'level'` with it, or `'behind'`; level is what the rounds do not agree on. */
function standing({ median, low, high }, { better }) {
  const [best, worst] = better === 'higher' ? [high, low] : [low, high]
  const sign = better === 'higher' ? 1 : -1
  const isBetter = (value) => sign * (value - 1) >= 0
  if (median === null) return 'behind'
  if (isBetter(worst)) return 'ahead'
  return isBetter(best) ? 'level' : 'behind'
}

/** Why there are no figures, on one line. */
function reason(contestant) {
  const text = obstacle(contestant).replace(/\s+/g, ' ').trim()
  return text.length > REASON_LENGTH ? `${text.slice(0, REASON_LENGTH - 1).trimEnd()}…` : text
}

const number = (value) => value.toLocaleString('en-US')

/** `100 waiters`, `1 process`. */
const amount = (count, things) => `${number(count)} ${count === 1 ? things.replace(/(?<=s)es$|s$/, '') : things}`

/** Where and why a curve ends: `failed at 100 waiters: hangs`. Nothing where it reaches the last point. */
function endOf({ points = [] }, { x }) {
  const end = points.find(({ failed }) => failed)
  return end && reason(end).replace(/^failed/, `failed at ${amount(end.x, x)}`)
}

/** Those who have figures at one point of a curve at least. */
const measuredIn = ({ contestants }) => contestants.filter(({ points = [] }) => points.some(({ summary }) => summary))

/** Those of a row or a curve who have no figures, or not all, and why: `{ name, text, failed }`. */
function reasonsIn(part) {
  const ends = part.contestants.map((each) => ({ name: label(each), text: endOf(each, part), failed: true }))
  const without = unranked(part).map((each) => ({
    name: label(each),
    text: reason(each),
    failed: Boolean(each.failed),
  }))
  return [...ends.filter(({ text }) => text), ...without]
}

/** The points of a curve at which anybody was measured. */
const pointsOf = ({ contestants }) =>
  [...new Set(contestants.flatMap(({ points = [] }) => points.map(({ x }) => x)))].sort((a, b) => a - b)

/** The median at one point of a curve. */
function pointText({ points }, x, { id, unit }) {
  const values = points.find((point) => point.x === x)?.summary?.[id]
  return values ? figure(values.median, unit) : ''
}

/** Ours and the best peer, row by row, by the measure that each row is ranked by. */
function overview({ rows }) {
  return rows.flatMap(({ title, contestants, measures }) => {
    const measure = headline(measures)
    const ours = contestants.find(isOurs)
    if (!ours) return []
    const peer = bestPeer(contestants, measure)
    const compared = ours.summary?.[measure.id]?.ratio
    return {
      title,
      measure,
      ours: ours.failed ? 'failed' : measureTexts(ours, measure).median,
      peer: peer && { name: peer.name, median: measureTexts(peer, measure).median },
      advantage: compared && advantage(compared, measure),
      standing: compared && standing(compared, measure),
    }
  })
}

/** The command, the machine and the versions of a run, each in a line. */
function circumstances({ date, command, rounds, machine, versions }) {
  const { cpu, cores, memory, kernel, fileSystem } = machine
  const packages = Object.entries(versions).filter(([name, version]) => name !== 'node' && version)
  return {
    run: `${command}, ${date.slice(0, 10)}, ${rounds === 1 ? 'one round' : `medians of up to ${rounds} rounds`}`,
    machine: `${cpu}, ${cores === 1 ? '1 core' : `${cores} cores`}, ${figure(memory, 'B')} of memory, Linux ${kernel}, ${fileSystem}`,
    versions: [`Node.js ${versions.node}`, ...packages.map(([name, version]) => `${name} ${version}`)].join(', '),
  }
}

module.exports = {
  amount,
  circumstances,
  measuredIn,
  measureTexts,
  number,
  overview,
  pointsOf,
  pointText,
  ratioTexts,
  reason,
  reasonsIn,
  standing,
}
