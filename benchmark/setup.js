'use strict'

// Sets up what the contestants need, each in a folder of its own and none of it a dependency of the package: does what
// is missing or out of date, and nothing else. What cannot be set up is in nobody's way but its own.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { preparePython } = require('../scripts/python.js')
const { PEERS } = require('./contestants/installed.js')

/** How many lines of what a failing command says are passed on. */
const KEPT = 15

/** What has been in the way of setting up something, by what it is: some of it serves several contestants. */
const outcomes = new Map()

/** Sets up what a contestant needs. Returns what is in the way, if anything. */
function setUp({ peer, floor, program }) {
  const need = peer ?? floor ?? program?.file
  if (need === undefined) return undefined
  if (!outcomes.has(need)) {
    const obstacle = peer ? installPeer(path.join(PEERS, peer), peer) : floor ? buildFloor(floor) : preparePython()
    outcomes.set(need, obstacle && `not installed here: ${obstacle}`)
  }
  return outcomes.get(need)
}

function installPeer(folder, name) {
  const wanted = fs.readFileSync(path.join(folder, 'package-lock.json'), 'utf8') + compiledFor()
  const stamp = path.join(folder, 'node_modules/.set-up-for')
  if (contentOf(stamp) === wanted) return undefined
  console.error(`Installing ${name}`)
  const obstacle = run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], folder, ourNode())
  if (!obstacle) fs.writeFileSync(stamp, wanted)
  return obstacle
}

/** An addon that is compiled for one version of Node's internals need not run with another one. */
const compiledFor = () => `${process.platform}-${process.arch}-${process.versions.modules}`

/** Has npm compile for the Node that runs this, with that one's headers if it has brought them: else they are fetched. */
function ourNode() {
  const folder = path.dirname(process.execPath)
  const prefix = path.dirname(folder)
  const hasHeaders = fs.existsSync(path.join(prefix, 'include/node/node.h'))
  return { PATH: folder + path.delimiter + process.env.PATH, ...(hasHeaders && { npm_config_nodedir: prefix }) }
}

/** Cargo knows what is out of date. */
function buildFloor(folder) {
  const target = path.join(folder, 'target')
  const addon = path.join(folder, 'floor.node')
  if (!fs.existsSync(addon)) console.error('Building the floor')
  const obstacle = run('cargo', ['build', '--release', '--locked', '--quiet', '--target-dir', target], folder)
  if (obstacle) return obstacle
  // Not over the old one: who has it mapped would find the new one in its place.
  fs.rmSync(addon, { force: true })
  fs.copyFileSync(path.join(target, 'release/liblocket_floor.so'), addon)
  return undefined
}

/** Runs a command, and returns what is in the way. */
function run(command, args, cwd, env) {
  const { status, error, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  if (status === 0) return undefined
  if (stderr) console.error(stderr.trimEnd().split('\n').slice(-KEPT).join('\n'))
  return `${command} ${args[0]} failed: ${error?.message ?? `exit code ${status}`}`
}

function contentOf(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined
}

module.exports = { setUp }
