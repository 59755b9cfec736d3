'use strict'

// What a storm of locks by existence is made of: the other programs by protocol, and how both are told to take the locks.

const { spawnSync } = require('node:child_process')
const os = require('node:os')
const path = require('node:path')

/**
 * After so many milliseconds the lock of a holder that shows no life is stale. No live holder of a storm pauses so long: each
 * holds a lock for a few milliseconds, and proper-lockfile shows its life once a second.
 */
const STALE = 5000

/** For peers that break stale locks by their path: so long that none does. */
const NEVER = 3_600_000

/**
 * By protocol: the `peers`; the options of `ours`; those of the peers as they are, and with `defects`, when they remove locks by
 * their path, whoever's lock that is by then. `defect` explains it. `defective`: peers that always do, and so take part with
 * `defects` alone. `breaks`: a lock that a killed peer has left is broken by the storm, since nobody else may.
 */
const PROTOCOLS = {
  'proper-lockfile': {
    peers: ['proper-lockfile'],
    ours: { stale: STALE, update: 1000 },
    theirs: { stale: NEVER, update: 1000 },
    defects: { stale: 2000, update: 1000 },
    defect: 'proper-lockfile removes by its path the folder that it has judged to be stale (its issue 121)',
  },
  lockfile: {
    peers: ['lockfile'],
    ours: { stale: STALE },
    theirs: {},
    defects: { stale: 2000 },
    defect: 'lockfile removes by its path the file that it has judged to be stale, and the file of a live holder, too',
  },
  'soft-file': { peers: ['SoftFileLock'] },
  link: { peers: ['LinkLockFile'], breaks: true },
  mkdir: { peers: ['MkdirLockFile'], breaks: true },
  symlink: { peers: ['SymlinkLockFile'], breaks: true },
  'pid-file': { peers: ['PIDLockFile'], breaks: true },
  dotlock: {
    peers: [],
    defective: ['dotlockfile'],
    breaks: true,
    defects: { pid: true },
    defect:
      'dotlockfile removes by its path the file whose process it has found to be dead, and whatever has that path when the lock ' +
      'that it was refused is gone before it can look at it',
  },
}

/** The peers that are npm packages; the others are told by neighbour.py. */
const OF_NPM = ['proper-lockfile', 'lockfile']

/** Returns what is in the way of a peer, if anything. `python`: what is in the way of Python. */
function obstacleOf(peer, python) {
  if (process.platform !== 'linux') return 'this is not Linux'
  if (OF_NPM.includes(peer)) return undefined
  if (peer === 'dotlockfile' && spawnSync('dotlockfile', ['-u', path.join(os.tmpdir(), 'nothing.lock')]).status !== 0) {
    return 'it is not installed'
  }
  return python
}

module.exports = { obstacleOf, OF_NPM, PROTOCOLS }
