'use strict'

// From raw rounds to what is reported: median, lowest and highest, and how ours compares with the best peer, or with its
// rival.

const { isOurs, isVariant, opponentOf } = require('./ranking.js')

function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Median, lowest and highest; nothing where there is no value. */
function spreadOf(values) {
  const finite = values.filter(Number.isFinite)
  if (finite.length === 0) return undefined
  return { median: median(finite), low: Math.min(...finite), high: Math.max(...finite) }
}

/** A spread for each measure that has values. */
function summaryOf(rounds, measures) {
  const spreads = measures.map(({ id }) => [id, spreadOf(rounds.map((round) => round[id]))])
  return Object.fromEntries(spreads.filter(([, spread]) => spread))
}

/** One failed round is a failure: a lock that sometimes excludes is no lock. */
function failureOf({ failed, rounds = [] }) {
  if (failed) return failed
  const failures = rounds.filter((round) => round.failed)
  if (failures.length === 0) return undefined
  const share = failures.length === rounds.length ? '' : ` (in ${failures.length} of ${rounds.length} rounds)`
  return failures[0].failed + share
}

/** Adds to a contestant, or to a point of its curve, its summary, or else that it failed. */
function judged(entry, measures) {
  if (entry.cannot) return entry
  const failed = failureOf(entry)
  return failed ? { ...entry, failed } : { ...entry, summary: summaryOf(entry.rounds ?? [], measures) }
}

/**
 * Ours divided by the peer's, round by round: what disturbs the machine disturbs both figures of a round, and their
 * ratio the less for it. Without a number where the peer's figures are 0 and ours are not.
 */
function ratioTo(peer, ours, id) {
  const ratios = ours.rounds.map((round, index) => {
    const [mine, theirs] = [round[id], peer.rounds[index]?.[id]]
    return mine === 0 && theirs === 0 ? 1 : mine / theirs
  })
  return { ...(spreadOf(ratios) ?? { median: null, low: null, high: null }), of: peer.name }
}

/** Adds to our summary the ratio to the best peer, or to the rival, measure by measure. */
function compared(ours, contestants, measures) {
  const summary = { ...ours.summary }
  for (const measure of measures) {
    const peer = opponentOf(ours, contestants, measure)
    if (peer && summary[measure.id]) {
      summary[measure.id] = { ...summary[measure.id], ratio: ratioTo(peer, ours, measure.id) }
    }
  }
  return { ...ours, summary }
}

function summariseRow(row) {
  const contestants = row.contestants.map((contestant) => judged(contestant, row.measures))
  const withRatio = (each) =>
    (isOurs(each) || isVariant(each)) && each.summary ? compared(each, contestants, row.measures) : each
  return { ...row, contestants: contestants.map(withRatio) }
}

function summariseCurve(curve) {
  const contestants = curve.contestants.map(({ points, ...contestant }) =>
    points ? { ...contestant, points: points.map((point) => judged(point, curve.measures)) } : contestant,
  )
  return { ...curve, contestants }
}

/** Raw results (see the README of the benchmark) with the summaries added. Changes nothing in place. */
function summarise({ measured, rows = [], curves = [] }) {
  return { measured, rows: rows.map(summariseRow), curves: curves.map(summariseCurve) }
}

module.exports = { median, summarise }
