'use strict'

// A path that is locked by existence, for the tests of what is at its lock entry.

const fs = require('node:fs')

const { ownLock } = require('../neighbour.js')
const { entryOf, newPath } = require('./peers.js')

/** Long enough for a lock of 'lockfile' not to be stale, and for none of ours to be. */
const OPTIONS = { lockfile: { stale: 60_000 } }

const lstat = (entry) => fs.lstatSync(entry, { throwIfNoEntry: false, bigint: true })

function scene(t, protocol) {
  const file = newPath(t, protocol)
  const options = { protocol, ...OPTIONS[protocol] }
  return { file, entry: entryOf(protocol, file), lock: ownLock(t, file, options), options }
}

module.exports = { lstat, OPTIONS, scene }
