'use strict'

// The programs that lock by the existence of a file, a folder or a symbolic link, each with the protocol by which ours gets
// on with it.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { PYTHON, preparePython } = require('../../../scripts/python.js')
const { temporaryPaths } = require('../../support/folders.js')
const { Talker } = require('../../support/processes.js')
const { needing, onUnix } = require('../../support/systems.js')
const { Agent } = require('../neighbour.js')

const PYTHON_AGENT = path.join(__dirname, '../agent.py')
const PEER = path.join(__dirname, 'peer.js')
const NOTHING = path.join(os.tmpdir(), 'nothing.lock')

const python = { skip: onUnix.skip || (process.env.LOCKET_REQUIRE_ALL !== '1' && preparePython()) }
const debian = (command, ...args) => (onUnix.skip ? onUnix : needing(command, [...args, NOTHING]))

/**
 * By name: `protocol`; `options` of a test that needs the program; `stale`: options by which both have a short time after
 * which a lock is stale, where they have one; `dead`: what becomes of the lock of a process that is dead: 'at once' the next
 * one may have it, or once it is 'stale', or 'never', unless it is broken.
 */
const PEERS = {
  'proper-lockfile': {
    protocol: 'proper-lockfile',
    options: onUnix,
    stale: { stale: 2000, update: 1000 },
    dead: 'stale',
  },
  lockfile: { protocol: 'lockfile', options: onUnix, stale: { stale: 1000 }, dead: 'stale' },
  'lockfile-sync': { protocol: 'lockfile', options: onUnix, stale: { stale: 1000 }, dead: 'stale' },
  SoftFileLock: { protocol: 'soft-file', options: python, dead: 'at once' },
  LinkLockFile: { protocol: 'link', options: python, dead: 'never' },
  MkdirLockFile: { protocol: 'mkdir', options: python, dead: 'never' },
  SymlinkLockFile: { protocol: 'symlink', options: python, dead: 'never' },
  PIDLockFile: { protocol: 'pid-file', options: python, dead: 'never' },
  dotlockfile: { protocol: 'dotlock', options: debian('dotlockfile', '-u'), dead: 'at once' },
  'lockfile-create': { protocol: 'dotlock', options: debian('lockfile-remove', '--lock-name'), dead: 'at once' },
}

/** The protocols of these programs. */
const PROTOCOLS = [...new Set(Object.values(PEERS).map(({ protocol }) => protocol))]

/** The protocols whose lock entry is not the path itself. */
const BESIDE = ['proper-lockfile', 'link', 'mkdir', 'symlink']

/** The lock entry of `file`. */
const entryOf = (protocol, file) => (BESIDE.includes(protocol) ? `${file}.lock` : file)

/** A new path to lock. Of 'proper-lockfile' the file has to exist. */
function newPath(t, protocol) {
  const [file] = temporaryPaths(t, 'test')
  if (protocol === 'proper-lockfile') fs.writeFileSync(file, '')
  return file
}

/** What starts a process with a lock of the peer `name` (see agent.py and peer.js). */
const commandOf = (name, file, options = {}) =>
  PEERS[name].options === python
    ? [PYTHON, PYTHON_AGENT, name, file]
    : [process.execPath, PEER, name, file, JSON.stringify(options)]

/** A process with a lock of the peer `name`, as a Talker. */
function talkerOf(t, name, file, options) {
  const [program, ...args] = commandOf(name, file, options)
  return new Talker(t, program, args)
}

/** The same, with the methods of Agent. */
const peerOf = (t, name, file, options) => new Agent(talkerOf(t, name, file, options))

module.exports = { commandOf, entryOf, newPath, PEERS, PROTOCOLS, peerOf, talkerOf }
