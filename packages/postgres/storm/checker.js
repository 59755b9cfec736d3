'use strict'

// Decides whether the logs of a storm can be those of a lock.

/**
 * Returns what was found in the events of all processes, each with its `process` and in its order. `kills`: when each process
 * that was killed had its signal.
 */
function check(events, kills) {
  const holds = new Map()
  const report = { holds: 0, lost: 0, rejected: {}, violations: [] }
  for (const { process, id, ...event } of events) {
    const key = `${process}:${id}`
    if (event.failed !== undefined) report.violations.push(`${process} failed: ${event.failed}`)
    else if (event.rejected !== undefined) report.rejected[event.rejected] = (report.rejected[event.rejected] ?? 0) + 1
    else if (event.entered !== undefined) {
      holds.set(key, {
        ...event,
        process,
        token: BigInt(event.token),
        left: kills.get(process) ?? Number.POSITIVE_INFINITY,
      })
      report.holds++
    } else if (event.left !== undefined) {
      holds.get(key).left = Math.min(event.left, holds.get(key).left)
      if (event.lost) report.lost++
    }
  }
  for (const [name, own] of byName([...holds.values()])) {
    report.violations.push(...problemsOf(name, own))
  }
  return report
}

/** The holds by name. */
function byName(holds) {
  const groups = new Map()
  for (const hold of holds) groups.set(hold.name, [...(groups.get(hold.name) ?? []), hold])
  return groups
}

/** What is wrong with the holds of one name: two at a time, or a later one without a greater token. */
function problemsOf(name, holds) {
  const problems = []
  holds.sort((one, other) => one.entered - other.entered)
  // Of those so far, by mode: the one that is held for longest, and the one with the greatest token.
  const last = { exclusive: undefined, shared: undefined }
  const greatest = { exclusive: undefined, shared: undefined }
  for (const hold of holds) {
    const conflicting = hold.mode === 'exclusive' ? ['exclusive', 'shared'] : ['exclusive']
    for (const mode of conflicting) {
      const before = last[mode]
      if (before !== undefined && before.left > hold.entered) {
        problems.push(`overlap of ${name}: ${describe(before)} and ${describe(hold)}`)
      }
      const fence = greatest[mode]
      if (fence !== undefined && fence.token >= hold.token) {
        problems.push(`token of ${name}: ${describe(fence)} before ${describe(hold)}`)
      }
    }
    if (!(last[hold.mode]?.left > hold.left)) last[hold.mode] = hold
    if (!(greatest[hold.mode]?.token > hold.token)) greatest[hold.mode] = hold
  }
  return problems
}

const describe = ({ process, mode, token, entered, left }) =>
  `${mode} of ${process} with ${token} from ${entered} to ${left}`

module.exports = { check }
