'use strict'

/** The value below which that share of the values lies: 0.5 for the median. */
function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

module.exports = { quantile }
