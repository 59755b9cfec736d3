'use strict'

// What builds for every platform on one machine: a Rust compiler with the sources of its standard library, which is built
// for each platform along with the package (so no platform has to be installed, and what the package has no use for, the
// printing of backtraces, is left out: a third of the binary), and zig, which links for all of them.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { output } = require('../packaging/run.js')
const { has, root } = require('../prepare.js')
const { prepareVenv, programsOf, pythonOf } = require('../python.js')

const FOLDER = path.join(root, 'target/prebuilds')
const VENV = path.join(FOLDER, 'venv')
const NO_NODE = path.join(FOLDER, 'no-node')

/** Installs packages of Debian, if this is Debian and we may. */
function installFromDebian(packages) {
  if (!has('apt-get') || process.getuid() !== 0) return
  console.log(`Installing ${packages.join(', ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = ['install', '-y', '-qq', '--no-install-recommends', ...packages]
  // The lists of packages may be old, or missing.
  for (const args of [['update', '-qq'], install]) spawnSync('apt-get', args, { env })
}

/** MinGW's linker is given libraries of Node that an addon does not need which finds Node-API when it is loaded. */
function makeEmptyLibraries() {
  fs.mkdirSync(NO_NODE, { recursive: true })
  fs.writeFileSync(path.join(NO_NODE, 'libnode.dll'), '')
  for (const name of ['libnode.dll.a', 'libnode.a', 'node.lib', 'libssp.a', 'libssp_nonshared.a']) {
    fs.writeFileSync(path.join(NO_NODE, name), '!<arch>\n')
  }
}

/** Returns the Python that has LIEF, which reads binaries of all platforms. */
function findPython() {
  const obstacle = prepareVenv(VENV, path.join(__dirname, 'requirements.txt'))
  if (obstacle) throw new Error(obstacle)
  return pythonOf(VENV)
}

/** Installs what builds. */
function findToolchain() {
  findPython()
  output('rustup', ['component', 'add', 'rust-src'], root)
  const library = path.join(output('rustc', ['--print', 'sysroot'], root).trim(), 'lib/rustlib')
  const [, host] = /^host: (.*)$/m.exec(output('rustc', ['-vV'], root))
  makeEmptyLibraries()
  return {
    sources: path.join(library, 'src/rust'),
    // The second is that of rust-objcopy, with which the compiler strips binaries for macOS.
    programs: [programsOf(VENV), path.join(library, host, 'bin')],
    zigbuild: path.join(programsOf(VENV), 'cargo-zigbuild'),
  }
}

module.exports = { findPython, findToolchain, FOLDER, installFromDebian, NO_NODE }
