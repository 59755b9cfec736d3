'use strict'

// The contestants, in the order in which they are measured. Each adapter has a contestant, or a list of them.

const ADAPTERS = [
  'locket-native',
  'descriptors',
  'proper-lockfile',
  'lockfile',
  'async-mutex',
  'web-locks',
  'python',
  'commands',
  'postgres',
  'floor',
]

const load = (adapter) => [require(`./${adapter}.js`)].flat()

/** All contestants. */
const contestants = () => ADAPTERS.flatMap(load)

/** The contestant of that name. Hundreds of processes ask for one, so only the adapters up to its own are loaded. */
function contestant(name) {
  for (const adapter of ADAPTERS) {
    const found = load(adapter).find((each) => each.name === name)
    if (found) return found
  }
  throw new Error(`no contestant is called ${name}`)
}

module.exports = { contestants, contestant }
