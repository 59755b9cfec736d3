'use strict'

// Brings a clone to where it can run: development dependencies installed, addon and JavaScript built. Does what is missing
// or out of date, and nothing else.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { BUNDLES, MANUAL, POSTGRES_BUNDLE } = require('./bundle.js')

const root = path.resolve(__dirname, '..')
const BUILD_INPUTS = [
  'Cargo.toml',
  'Cargo.lock',
  'build.rs',
  'package.json',
  'src',
  'crates/locket/src',
  'crates/locket/Cargo.toml',
]

const SCRIPTS = [
  'lib',
  'bin/cli',
  'packages/postgres/lib',
  'scripts/bundle.js',
  'scripts/manual',
  'scripts/prebuilds/platforms.js',
  'package-lock.json',
]

/** Runs a command in the clone. What it prints is shown. Ends this process if it fails. */
function run(command, args, env) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
    shell: process.platform === 'win32',
  })
  if (error) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status || 1)
}

/** Is a program there? */
function has(command, args = ['--version']) {
  return spawnSync(command, args, { stdio: 'ignore', shell: process.platform === 'win32' }).status === 0
}

/** When was the newest file at `name`, or below it, changed? 0 if there is none. */
function changed(name) {
  const full = path.resolve(root, name)
  const stats = fs.statSync(full, { throwIfNoEntry: false })
  if (!stats) return 0
  if (!stats.isDirectory()) return stats.mtimeMs
  return Math.max(0, ...fs.readdirSync(full).map((entry) => changed(path.join(full, entry))))
}

/** Installs the packages that the lock file in a folder of the clone names. */
function installPackages(folder = '.', options = []) {
  // npm writes this file at the end of every install.
  const installed = path.join(folder, 'node_modules/.package-lock.json')
  if (changed(path.join(folder, 'package-lock.json')) <= changed(installed)) return
  console.log(folder === '.' ? 'Installing the development dependencies' : `Installing the packages of ${folder}`)
  run('npm', ['ci', `--prefix=${folder}`, '--no-audit', '--no-fund', '--loglevel=error', ...options])
  const now = new Date()
  fs.utimesSync(path.join(root, installed), now, now)
}

function buildAddon() {
  const addon = fs.readdirSync(root).find((name) => name.endsWith('.node'))
  if (addon && Math.max(...BUILD_INPUTS.map(changed)) <= changed(addon)) return
  if (!has('cargo')) {
    console.error('Building the addon needs a Rust toolchain (1.88 or newer): see https://rustup.rs')
    process.exit(1)
  }
  console.log('Building the addon')
  run('npm', ['run', '--silent', 'build'])
  // cargo leaves an up-to-date library alone; then the copy keeps its old date.
  const now = new Date()
  for (const name of fs.readdirSync(root).filter((entry) => entry.endsWith('.node'))) {
    fs.utimesSync(path.join(root, name), now, now)
  }
}

function buildScripts() {
  if (Math.max(...SCRIPTS.map(changed)) < Math.min(...[...BUNDLES, ...MANUAL, POSTGRES_BUNDLE].map(changed))) return
  console.log('Bundling the JavaScript')
  run('npm', ['run', '--silent', 'bundle'])
}

/** `addon: false`: without the addon. */
function prepare({ addon = true } = {}) {
  installPackages()
  if (addon) buildAddon()
  buildScripts()
}

module.exports = { root, run, has, installPackages, prepare }

if (require.main === module) prepare()
