'use strict'

// The platforms that there are binaries for, by the names that npm packages of addons have (see `napi.targets` in
// package.json, which has the same ones).

const fs = require('node:fs')
const path = require('node:path')

const { root } = require('../prepare.js')

/** Where the packages of the binaries are made: a folder for each platform. */
const PACKAGES = path.join(root, 'npm')

/** Node's oldest glibc: 20 and 22 run on 2.28; 2.17 is what the unofficial builds for old systems have. */
const GLIBC = '2.17'
/** The first with little-endian PowerPC that zig has. */
const GLIBC_PPC64 = '2.19'
/** The first with RISC-V. */
const GLIBC_RISCV = '2.27'

/** Smaller than the profile has it, and slower: for processors whose instructions take the most space. */
const SMALLEST = ['-C', 'opt-level=z']
/**
 * The largest that the binary for PowerPC may be, in bytes. Each instruction takes four, and functions save their registers
 * one by one. Neither a newer processor (pwr9), nor another code model or threshold of inlining saves more than 2 %.
 */
const PPC64_LIMIT = 725_000
const MUSL_FLAGS = ['-C', 'target-feature=-crt-static']
/**
 * What the library calls itself: else the path at which it was built is in it. And libraries that zig has at hand, but
 * of which nothing is used, are not asked for.
 */
const APPLE_FLAGS = ['-C', 'link-arg=-Wl,-install_name,@rpath/locket.node', '-C', 'link-arg=-Wl,-dead_strip_dylibs']

/** Returns a platform of Linux with glibc, by Rust's name for it and Node's name for its processor. */
const onGlibc = (target, arch, { glibc = GLIBC, flags, limit } = {}) => ({
  target,
  zig: `${target}.${glibc}`,
  ...(flags && { flags }),
  expected: { format: 'ELF', arch, glibc, libc: 'libc.so.6', ...(limit && { limit }) },
})

/**
 * `target`: Rust's name. `zig`: the same for cargo-zigbuild, with the oldest glibc. `expected`: what the binary must be
 * (see inspect.py). The one for Windows is built with MinGW, since that can be done everywhere; ordinary Node asks for
 * a binary by the name "msvc", and an addon that takes all of Node-API from the process that loads it fits both.
 */
const PLATFORMS = {
  'linux-x64-gnu': onGlibc('x86_64-unknown-linux-gnu', 'x64'),
  'linux-arm64-gnu': onGlibc('aarch64-unknown-linux-gnu', 'arm64'),
  'linux-x64-musl': {
    target: 'x86_64-unknown-linux-musl',
    flags: MUSL_FLAGS,
    expected: { format: 'ELF', arch: 'x64', libc: 'libc.so' },
  },
  'linux-arm64-musl': {
    target: 'aarch64-unknown-linux-musl',
    flags: MUSL_FLAGS,
    expected: { format: 'ELF', arch: 'arm64', libc: 'libc.so' },
  },
  'linux-arm-gnueabihf': onGlibc('armv7-unknown-linux-gnueabihf', 'arm'),
  'linux-riscv64-gnu': onGlibc('riscv64gc-unknown-linux-gnu', 'riscv64', { glibc: GLIBC_RISCV }),
  'linux-ppc64-gnu': onGlibc('powerpc64le-unknown-linux-gnu', 'ppc64', {
    glibc: GLIBC_PPC64,
    flags: SMALLEST,
    limit: PPC64_LIMIT,
  }),
  'linux-s390x-gnu': onGlibc('s390x-unknown-linux-gnu', 's390x', { flags: SMALLEST }),
  'freebsd-x64': {
    target: 'x86_64-unknown-freebsd',
    expected: { format: 'ELF', arch: 'x64', libc: 'libc.so.7' },
  },
  'darwin-x64': {
    target: 'x86_64-apple-darwin',
    flags: APPLE_FLAGS,
    expected: { format: 'MachO', arch: 'x64', macos: '11.0' },
  },
  'darwin-arm64': {
    target: 'aarch64-apple-darwin',
    flags: APPLE_FLAGS,
    // Apple's processors run nothing that is not signed; "ad hoc" is enough.
    expected: { format: 'MachO', arch: 'arm64', macos: '11.0', signed: true },
  },
  'win32-x64-msvc': {
    target: 'x86_64-pc-windows-gnu',
    expected: { format: 'PE', arch: 'x64' },
  },
  'win32-arm64-msvc': {
    target: 'aarch64-pc-windows-gnullvm',
    expected: { format: 'PE', arch: 'arm64' },
  },
}

const binaryOf = (name) => `locket.${name}.node`

/** Where the package of a platform is made. */
const packageOf = (name) => path.join(PACKAGES, name)

/** The binary of a platform, where `npm run prebuilds` puts it. */
const prebuiltOf = (name) => path.join(packageOf(name), binaryOf(name))

/** The names among `wanted`, or all. Ends this process if there is no such platform. */
function choosePlatforms(wanted) {
  const unknown = wanted.filter((name) => !(name in PLATFORMS))
  if (unknown.length > 0) {
    console.error(`Unknown: ${unknown.join(', ')}. There are: ${Object.keys(PLATFORMS).join(', ')}`)
    process.exit(64)
  }
  return wanted.length > 0 ? wanted : Object.keys(PLATFORMS)
}

/** The platforms whose binary has been built. */
const builtPlatforms = () => Object.keys(PLATFORMS).filter((name) => fs.existsSync(prebuiltOf(name)))

module.exports = { binaryOf, builtPlatforms, choosePlatforms, PACKAGES, packageOf, PLATFORMS, prebuiltOf }
