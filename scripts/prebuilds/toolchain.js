'use strict'

// What builds for every platform on one machine: a Rust compiler with the sources of its standard library, which is built
// for each platform along with the package (so no platform has to be installed, and what the package has no use for, the
// printing of backtraces, is left out: a third of the binary), and zig, which links for all of them.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { has, root } = require('../prepare.js')
const { prepareVenv, programsOf, pythonOf } = require('../python.js')

const FOLDER = path.join(root, 'target/prebuilds')
const VENV = path.join(FOLDER, 'venv')
const NO_NODE = path.join(FOLDER, 'no-node')

/** Debian's compiler of today, where rustup may not fetch anything. */
const DEBIAN_PACKAGES = ['rustc-web', 'cargo-web', 'libstd-rust-web-dev', 'rust-web-src', 'llvm']
const DEBIAN_TOOLS = { cargo: '/usr/bin/cargo', rustc: '/usr/bin/rustc' }

/** What a command prints, without the last line break. undefined if it fails, or is not there. */
function ask(command, ...args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

/** The folder of the sources that `rustc` comes with, if it does. */
function sourcesOf(rustc) {
  const sysroot = ask(rustc, '--print', 'sysroot')
  if (!sysroot) return undefined
  const sources = path.join(sysroot, 'lib/rustlib/src/rust')
  return fs.existsSync(path.join(sources, 'library/std')) ? sources : undefined
}

/** Installs packages of Debian, if this is Debian and we may. Are they there now? */
function installFromDebian(packages) {
  if (!has('apt-get') || process.getuid() !== 0) return false
  console.log(`Installing ${packages.join(', ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = ['install', '-y', '-qq', '--no-install-recommends', ...packages]
  // The lists of packages may be old, or not there at all.
  return [['update', '-qq'], install].every((args) => spawnSync('apt-get', args, { env }).status === 0)
}

/** A compiler that has the sources of its standard library. The first way that can be gone is taken. */
function findRust() {
  const ways = [
    () => ({ cargo: 'cargo', rustc: 'rustc' }),
    () =>
      has('rustup') &&
      ask('rustup', 'component', 'add', 'rust-src') !== undefined && { cargo: 'cargo', rustc: 'rustc' },
    () => DEBIAN_TOOLS,
    () => installFromDebian(DEBIAN_PACKAGES) && DEBIAN_TOOLS,
  ]
  for (const way of ways) {
    const tools = way()
    const sources = tools && sourcesOf(tools.rustc)
    if (sources) return { ...tools, sources }
  }
  return undefined
}

/**
 * The folder of `rust-objcopy`, with which the compiler strips binaries for macOS. rustup's compilers have it; Debian's
 * calls for LLVM's by that name.
 */
function findObjcopy() {
  const sysroot = ask('rustc', '--print', 'sysroot')
  const host = /^host: (.*)$/m.exec(ask('rustc', '-vV') ?? '')?.[1]
  const own = sysroot && host && path.join(sysroot, 'lib/rustlib', host, 'bin')
  if (own && fs.existsSync(path.join(own, 'rust-objcopy'))) return own
  const llvm = ask('sh', '-c', 'command -v llvm-objcopy')
  if (!llvm) return fail('llvm-objcopy is missing')
  const shims = path.join(FOLDER, 'bin')
  fs.mkdirSync(shims, { recursive: true })
  fs.rmSync(path.join(shims, 'rust-objcopy'), { force: true })
  fs.symlinkSync(llvm, path.join(shims, 'rust-objcopy'))
  return shims
}

/** MinGW's linker is given libraries of Node's that an addon does not need which finds Node-API when it is loaded. */
function makeEmptyLibraries() {
  fs.mkdirSync(NO_NODE, { recursive: true })
  fs.writeFileSync(path.join(NO_NODE, 'libnode.dll'), '')
  for (const name of ['libnode.dll.a', 'libnode.a', 'node.lib', 'libssp.a', 'libssp_nonshared.a']) {
    fs.writeFileSync(path.join(NO_NODE, name), '!<arch>\n')
  }
}

/** The Python that has LIEF, which reads binaries of all platforms. Ends this process if it cannot be had. */
function findPython() {
  const obstacle = prepareVenv(VENV, path.join(__dirname, 'requirements.txt'))
  return obstacle ? fail(obstacle) : pythonOf(VENV)
}

/** Finds or installs what builds. Ends this process, and says what is missing, if that cannot be. */
function findToolchain() {
  findPython()
  const rust = findRust()
  if (!rust) {
    return fail(
      "the sources of the standard library are missing: `rustup component add rust-src`, or Debian's rust-web-src",
    )
  }
  makeEmptyLibraries()
  const programs = [programsOf(VENV), findObjcopy()]
  return { ...rust, programs, zigbuild: path.join(programsOf(VENV), 'cargo-zigbuild') }
}

function fail(problem) {
  console.error(`Prebuilds: ${problem}`)
  return process.exit(1)
}

module.exports = { ask, fail, findPython, findToolchain, FOLDER, installFromDebian, NO_NODE }
