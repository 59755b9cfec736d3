'use strict'

// The crates: what cargo-deny says of them (deny.toml), and their licences by count.

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const { root } = require('../prepare.js')
const { counted } = require('./packages.js')

/** Where cargo-deny is installed, if it is nowhere else. */
const TOOLS = path.join(root, 'target/tools')

const env = { ...process.env, PATH: `${process.env.PATH}${path.delimiter}${path.join(TOOLS, 'bin')}` }

const cargo = (...args) => spawnSync('cargo', args, { cwd: root, env, encoding: 'utf8', maxBuffer: 1 << 28 })

const isInstalled = () => cargo('deny', '--version').status === 0

/** Sees to it that cargo-deny is there. Returns why it is not, if it cannot be had. */
function install() {
  if (isInstalled()) return undefined
  console.log('Installing cargo-deny')
  // Unoptimised: it is built more often than it would have to be fast.
  const { error, stderr } = cargo('install', '--quiet', '--locked', '--debug', '--root', TOOLS, 'cargo-deny')
  if (isInstalled()) return undefined
  return `cargo-deny cannot be installed (${error?.message ?? stderr.trim().split('\n').at(-1)})`
}

/** What cargo-deny finds. `{ verdict: 'passed' | 'failed' | 'not checked', text }` */
function deny(...checks) {
  const { status, stdout, stderr } = cargo('deny', 'check', ...checks)
  const text = `${stdout}${stderr}`.trim()
  if (status === 0) return { verdict: 'passed', text }
  // Its exit code is the same for a crate that is bad and for a database that it could not get.
  if (/failed to (?:fetch|load|open) advisory database/.test(text))
    return { verdict: 'not checked', text: 'no database' }
  return { verdict: 'failed', text }
}

/** The licences of all crates: of those that are built into the addon or build it, and of those that only test it. */
function licences() {
  const { status, stdout, stderr } = cargo('metadata', '--format-version=1', '--locked', '--all-features')
  if (status !== 0) throw new Error(stderr)
  const { packages, resolve } = JSON.parse(stdout)
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]))
  const built = new Set()
  const visit = (id) => {
    if (built.has(id)) return
    built.add(id)
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
      if (kinds.some(({ kind }) => kind !== 'dev')) visit(pkg)
    }
  }
  visit(resolve.root)
  const of = (isBuilt) =>
    counted(
      packages
        .filter(({ id }) => id !== resolve.root && built.has(id) === isBuilt)
        .map(({ license }) => license ?? 'none named'),
    )
  return { runTime: of(true), development: of(false) }
}

module.exports = { deny, install, licences }
