'use strict'

// Rounds of rows and curves. Within a round the contestants take their turns one after the other, A B C A B C …: what
// disturbs the machine for a while disturbs all of them.

/** A curve shows how cost grows, which fewer rounds show as well. */
const CURVE_ROUNDS = 2

/** Does a contestant have a place in a row, be it to say why it cannot do it? */
function takesPart(contestant, row) {
  return contestant.rows ? contestant.rows.includes(row.id) : row.kinds.includes(contestant.kind)
}

/**
 * What is to be run, row by row.
 *
 * @param obstacles what is in the way of a contestant, whatever the row.
 */
function planOf(rows, contestants, { quick, rounds }, obstacles) {
  return rows.map((row) => {
    const entries = contestants
      .filter((contestant) => takesPart(contestant, row))
      .map((contestant) => ({ contestant, cannot: contestant.cannot?.[row.id] ?? obstacles.get(contestant) }))
    const most = row.rounds ?? (row.curve ? CURVE_ROUNDS : Infinity)
    return { row, entries, points: pointsOf(row, quick), rounds: Math.min(rounds, most) }
  })
}

/** The points of a curve. What is no curve is measured at one point, which has no name. */
function pointsOf({ curve }, quick) {
  if (!curve) return [undefined]
  return (quick && curve.quickPoints) || curve.points
}

const ableOnes = (entries) => entries.filter(({ cannot }) => !cannot).map(({ contestant }) => contestant)

/** How many trials there will be, if nobody gives up. */
function trialsIn(plan) {
  const counts = plan.map(({ entries, points, rounds }) => ableOnes(entries).length * points.length * rounds)
  return counts.reduce((sum, count) => sum + count, 0)
}

/** Runs all rounds of one part of a plan. Resolves to the row or the curve as results.json has it, without summaries. */
async function measure({ row, entries, points, rounds }, trial) {
  const measured = new Map(ableOnes(entries).map((contestant) => [contestant, []]))
  const hopeless = new Set()
  for (const x of points) {
    const contestants = ableOnes(entries).filter((contestant) => !hopeless.has(contestant))
    for (const contestant of contestants) measured.get(contestant).push({ x, rounds: [] })
    for (let round = 1; round <= rounds; round++) {
      for (const contestant of contestants) {
        if (hopeless.has(contestant)) continue
        const { timedOut, ...result } = await trial({ row, contestant, x, round })
        measured.get(contestant).at(-1).rounds.push(result)
        // Another round, and a further point of a curve, would take as long to say the same.
        if (timedOut) hopeless.add(contestant)
      }
    }
  }
  return resultOf(row, entries, measured)
}

function resultOf({ id, title, detail, measures, curve }, entries, measured) {
  const contestants = entries.map(({ contestant, cannot }) => {
    const { name, kind, runtime } = contestant
    const who = { name, kind, runtime }
    if (cannot) return { ...who, cannot }
    const points = measured.get(contestant)
    return curve ? { ...who, points } : { ...who, rounds: points[0].rounds }
  })
  return { id, title, detail, x: curve?.x, measures, contestants }
}

module.exports = { measure, planOf, takesPart, trialsIn }
