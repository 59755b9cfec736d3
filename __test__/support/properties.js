'use strict'

// Properties that are tried with generated values. LOCKET_FUZZ_RUNS: with how many each. A failure says its seed:
// LOCKET_FUZZ_SEED=… tries the same values again.

const fc = require('fast-check')

/** How many values are tried where nobody says it: some seconds' worth. */
const RUNS = 400

function fromEnvironment(name) {
  const text = process.env[name]
  if (text === undefined) return undefined
  if (!/^-?\d+$/.test(text)) throw new Error(`${name} is no number: ${text}`)
  return Number(text)
}

/** Tries `property` with values of `arbitraries`. It may be asynchronous. */
function check(...arbitrariesAndProperty) {
  const property = arbitrariesAndProperty.pop()
  return fc.assert(
    fc.asyncProperty(...arbitrariesAndProperty, async (...values) => property(...values)),
    {
      numRuns: fromEnvironment('LOCKET_FUZZ_RUNS') ?? RUNS,
      seed: fromEnvironment('LOCKET_FUZZ_SEED'),
    },
  )
}

module.exports = { check, fc }
