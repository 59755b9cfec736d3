'use strict'

const fs = require('node:fs')
const path = require('node:path')

const PEERS = path.join(__dirname, '../peers')

/**
 * What an adapter needs of a package that setup.js installs in a folder of its own, `peers/NAME`.
 *
 * Nothing of it is loaded before load() is called: a trial's process loads its own contestant and no other, and a peer
 * that could not be installed is in nobody's way.
 */
function installed(name) {
  const modules = path.join(PEERS, name, 'node_modules')
  const entry = path.join(modules, name)
  return {
    name,
    /** The folder below peers/ that has to be installed. */
    peer: name,
    /** What one requires. */
    entry,
    load: () => require(entry),
    version: () => JSON.parse(fs.readFileSync(path.join(entry, 'package.json'), 'utf8')).version,
    /** What is on the disk for it, its own dependencies included. */
    paths: () => [modules],
  }
}

module.exports = { installed, PEERS }
