'use strict'

// From values to places on an axis.

/** Places from 0 to `to`, which lies at `end`. */
function linear(to, start, end) {
  const place = (value) => start + (Math.min(value, to) / to) * (end - start)
  return { place }
}

const exponent = (value) => Math.log10(value)
/** Floating-point logarithms of powers of ten are not quite whole. */
const TOLERANCE = 1e-9

/**
 * A logarithmic axis from `from` to `to`. `ticks` are the powers of ten in it, at most `most` of them.
 *
 * What lies below `from`, zero above all, has no place on such an axis: it is put at `start`, and `from` at `floor`, if
 * that is given.
 */
function logarithmic([from, to], start, end, { most = 6, floor = start } = {}) {
  const [low, high] = [exponent(from), exponent(to)]
  const place = (value) =>
    value < from ? start : floor + ((Math.min(exponent(value), high) - low) / (high - low)) * (end - floor)
  return { place, ticks: powers(from, to, most) }
}

/** The powers of ten from `from` to `to`; every second, third, … where there are more than `most`. */
function powers(from, to, most) {
  const first = Math.ceil(exponent(from) - TOLERANCE)
  const last = Math.floor(exponent(to) + TOLERANCE)
  const step = Math.ceil((last - first + 1) / most)
  const found = []
  for (let power = first; power <= last; power += step) found.push(Number(`1e${power}`))
  return found
}

/** The nearest powers of ten around some values: two different ones. */
function powersAround(values) {
  const low = Math.floor(exponent(Math.min(...values)) + TOLERANCE)
  const high = Math.ceil(exponent(Math.max(...values)) - TOLERANCE)
  return [Number(`1e${low}`), Number(`1e${Math.max(high, low + 1)}`)]
}

/**
 * Moves places, given in their order, so that each is `distance` from the next, and all are between `from` and `to` if
 * they fit. Those that would be too close share the way: they become a group around the middle of where they were.
 */
function apart(places, distance, from, to) {
  const groups = []
  for (const place of places) {
    let group = { sum: place, count: 1 }
    while (groups.length > 0 && startOf(groups.at(-1)) + groups.at(-1).count * distance > startOf(group)) {
      const before = groups.pop()
      group = { sum: before.sum + group.sum, count: before.count + group.count }
    }
    groups.push(group)
  }
  return groups.flatMap((group) => Array.from({ length: group.count }, (_, index) => startOf(group) + index * distance))

  function startOf({ sum, count }) {
    const length = (count - 1) * distance
    return Math.max(from, Math.min(to - length, sum / count - length / 2))
  }
}

module.exports = { apart, linear, logarithmic, powersAround }
