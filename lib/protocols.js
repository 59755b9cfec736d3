'use strict'

// The protocols: the ways in which a lock can be kept, by their names. What each does is in the native part. Most programs do
// not name one: then this is not loaded.

const { isByExistence } = require('./by-existence.js')
const { outOfRange, wrongValue } = require('./invalid.js')

const PROTOCOLS = [
  ...['flock', 'fcntl'],
  ...['proper-lockfile', 'lockfile', 'soft-file', 'link', 'mkdir', 'symlink', 'pid-file', 'dotlock'],
]

/** Same as 'proper-lockfile', but the path is that of the lock entry itself. For proper-lockfile.js, not public. */
const ENTRY_OF_PROPER_LOCKFILE = 'proper-lockfile-at'

/** The least `stale` and `update`, and the default `stale`, of the protocols whose holders renew the time of the entry. */
const LIMITS = {
  'proper-lockfile': { stale: 2000, update: 1000, usual: 10_000 },
  lockfile: { stale: 100, update: 50, usual: Infinity },
}
LIMITS[ENTRY_OF_PROPER_LOCKFILE] = LIMITS['proper-lockfile']

/** The largest number of milliseconds, as for the timers of Node. */
const LONGEST = 2 ** 31 - 1

/** Checks the name of a protocol, that it has the options that are set, and their values. */
function checkProtocol(protocol, { stale, update, removeOnRelease, allowDirectory }) {
  if (!PROTOCOLS.includes(protocol) && protocol !== ENTRY_OF_PROPER_LOCKFILE) {
    throw wrongValue('options.protocol', `must be one of: ${PROTOCOLS.map((name) => `'${name}'`).join(', ')}`, protocol)
  }
  const limits = LIMITS[protocol]
  if (limits === undefined) {
    refuse(protocol, { stale, update })
  } else {
    checkRange('stale', stale, limits.stale, LONGEST)
    checkRange('update', update, limits.update, Math.min((stale ?? limits.usual) / 2, LONGEST))
  }
  if (isByExistence(protocol)) refuse(protocol, { removeOnRelease, allowDirectory })
}

/** Throws if any of these options is set. */
function refuse(protocol, options) {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && value !== false) {
      throw wrongValue(`options.${name}`, `is not an option of the protocol '${protocol}'`, value)
    }
  }
}

function checkRange(name, value, least, greatest) {
  if (value !== undefined && !(value >= least && value <= greatest)) {
    throw outOfRange(`options.${name}`, `>= ${least} && <= ${greatest}`, value)
  }
}

module.exports = { checkProtocol, PROTOCOLS }
