'use strict'

// The contestants, in the order in which they take their turns.

const { pick } = require('../pick.js')

/** Each has a contestant, or a list of them. */
const ADAPTERS = [
  './locket-native.js',
  './fs-ext.js',
  './fs-native-extensions.js',
  './os-lock.js',
  './proper-lockfile.js',
  './lockfile.js',
  './async-mutex.js',
  './web-locks.js',
  './python.js',
  './floor.js',
]

const load = (adapter) => [require(adapter)].flat()

/** All contestants. */
const contestants = () => ADAPTERS.flatMap(load)

/** The contestant of that name. It is asked for in hundreds of processes, so no more is loaded than must be. */
function contestant(name) {
  for (const adapter of ADAPTERS) {
    const found = load(adapter).find((each) => each.name === name)
    if (found) return found
  }
  return pick(contestants(), 'name', name, 'contestant')
}

module.exports = { contestants, contestant }
