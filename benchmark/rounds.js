'use strict'

// Rounds of rows and curves. Within a round the contestants take turns, A B C A B C …: what disturbs the machine for a
// while disturbs all of them.

/** A curve shows how cost grows, which fewer rounds show as well. */
const CURVE_ROUNDS = 2

/** Returns true if a contestant has a place in a row, if only to say why it cannot do it. */
const takesPart = (contestant, row) =>
  row.takes?.(contestant) ?? (contestant.rows ? contestant.rows.includes(row.id) : row.kinds.includes(contestant.kind))

/** Why a contestant cannot do a row: one reason does for rows that differ in a number, `waiters-1000` and `waiters`. */
const cannotDo = ({ cannot = {} }, { id }) => cannot[id] ?? cannot[id.replace(/-\d+$/, '')]

/** What to run, row by row. `obstacles`: why a contestant cannot do any row. */
function planOf(rows, contestants, { quick, rounds }, obstacles) {
  return rows.map((row) => {
    const entries = contestants
      .filter((contestant) => takesPart(contestant, row))
      .map((contestant) => ({
        contestant,
        cannot: cannotDo(contestant, row) ?? obstacles.get(contestant),
        measured: [],
      }))
    const most = row.rounds ?? (row.curve ? CURVE_ROUNDS : Infinity)
    // A row is measured at one point, which has no name.
    const points = (quick && row.curve?.quickPoints) || (row.curve?.points ?? [undefined])
    return { row, entries, able: entries.filter(({ cannot }) => !cannot), points, rounds: Math.min(rounds, most) }
  })
}

/** The number of trials, if none times out. */
const trialsIn = (plan) => plan.reduce((sum, { able, points, rounds }) => sum + able.length * points.length * rounds, 0)

/** Runs all rounds of one part of a plan. Resolves to the row or the curve as results.json has it, without summaries. */
async function measure({ row, entries, able, points, rounds }, trial) {
  // Another round, and a further point of a curve, would take as long to say the same.
  const remaining = () => able.filter(({ timedOut }) => !timedOut)
  for (const x of points) {
    for (const { measured } of remaining()) measured.push({ x, rounds: [] })
    for (let round = 1; round <= rounds; round++) {
      for (const entry of remaining()) {
        const { timedOut, ...result } = await trial({ row, contestant: entry.contestant, x, round })
        entry.measured.at(-1).rounds.push(result)
        entry.timedOut = timedOut
      }
    }
  }
  const { id, title, detail, measures, curve } = row
  const contestants = entries.map(({ contestant: { name, kind, runtime, rival }, cannot, measured }) => {
    const result = cannot ? { cannot } : curve ? { points: measured } : { rounds: measured[0].rounds }
    return { name, kind, runtime, rival, ...result }
  })
  return { id, title, detail, x: curve?.x, measures, contestants }
}

module.exports = { measure, planOf, takesPart, trialsIn }
