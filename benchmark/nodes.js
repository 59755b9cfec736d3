'use strict'

// Which Node runs a contestant: the one that runs the benchmark, unless the contestant needs what that one lacks.

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const { PEERS } = require('./contestants/installed.js')

const PACKAGE = path.join(PEERS, 'node24/node_modules', `node-${process.platform}-${process.arch}`)

/** Node 24, or the one that runs this if that knows the Web Locks API too. */
const NODES = { node24: globalThis.navigator?.locks ? process.execPath : path.join(PACKAGE, 'bin/node') }

/** The path of the Node that runs a contestant. */
const nodeOf = ({ node }) => (node ? NODES[node] : process.execPath)

/** The version of a Node of that name, or undefined if it does not run. */
function nodeVersion(name) {
  const { status, stdout } = spawnSync(NODES[name], ['--version'], { encoding: 'utf8' })
  return status === 0 ? stdout.trim().slice(1) : undefined
}

module.exports = { nodeOf, nodeVersion }
