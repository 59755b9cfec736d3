'use strict'

// Builds the binary of one platform, and makes the package that it is published in.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { root } = require('../prepare.js')
const { PACKAGES, packageOf, PLATFORMS, prebuiltOf } = require('./platforms.js')
const { FOLDER, NO_NODE } = require('./toolchain.js')

const TARGETS = path.join(FOLDER, 'cargo')
const NAPI = path.join(root, 'node_modules/@napi-rs/cli/dist/cli.js')
/** What std is built with: small, and without the printing of backtraces, which nobody here asks for. */
const STD = ['-Z', 'build-std=std,panic_unwind', '-Z', 'build-std-features=optimize_for_size']

/** The one function that Node looks for. MinGW's linker would export all there are. */
const EXPORTS = 'EXPORTS\n  napi_register_module_v1\n'

/** The root crate of the clone, whose library is the addon. */
const CRATE = /^\[package\]\nname = "(.+)"/m.exec(fs.readFileSync(path.join(root, 'Cargo.toml'), 'utf8'))[1]

/** The file that cargo makes. */
function libraryOf(target) {
  const name = CRATE.replaceAll('-', '_')
  return target.includes('windows') ? `${name}.dll` : `lib${name}.${target.includes('apple') ? 'dylib' : 'so'}`
}

/** Flags for the compiler that keep the paths of this machine out of the binary; panics name their place all the same. */
function pathFlags({ sources }) {
  const registry = path.join(process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo'), 'registry/src')
  const indexes = fs.existsSync(registry) ? fs.readdirSync(registry) : []
  const short = [[sources, '/rust'], ...indexes.map((index) => [path.join(registry, index), '/cargo'])]
  // Where a path is reached by a link, the compiler has either.
  const all = short.flatMap(([long, name]) => [
    [long, name],
    [fs.realpathSync(long), name],
  ])
  return [[root, '.'], ...all].map(([long, name]) => `--remap-path-prefix=${long}=${name}`)
}

/** What belongs to one platform alone. */
function flagsOf({ target, flags = [] }) {
  if (!target.includes('windows')) return flags
  const exports = path.join(FOLDER, 'exports.def')
  fs.writeFileSync(exports, EXPORTS)
  return [...flags, '-C', `link-arg=${exports}`]
}

function environment(toolchain, platform) {
  const { RUSTFLAGS, LD_LIBRARY_PATH, CARGO_BUILD_TARGET, ...env } = process.env
  return {
    ...env,
    PATH: [...toolchain.programs, env.PATH].join(path.delimiter),
    // Building the standard library is not stable yet; a stable compiler can do it when it is told so.
    RUSTC_BOOTSTRAP: '1',
    CARGO_TARGET_DIR: TARGETS,
    CARGO_ENCODED_RUSTFLAGS: [...pathFlags(toolchain), ...flagsOf(platform)].join('\x1f'),
    CARGO_ZIGBUILD_CACHE_DIR: path.join(FOLDER, 'zig'),
    MACOSX_DEPLOYMENT_TARGET: platform.expected.macos ?? '',
    LIBNODE_PATH: NO_NODE,
  }
}

/** Builds one platform's binary. Ends this process if that fails. */
function build(name, toolchain) {
  const platform = PLATFORMS[name]
  const target = ['--target', platform.zig ?? platform.target]
  const args = ['rustc', '--release', '--locked', '--lib', ...target, ...STD]
  const env = environment(toolchain, platform)
  // Crates' sources must be there before the flags name their folders.
  spawnSync('cargo', ['fetch', '--locked', '--quiet'], { cwd: root, stdio: 'inherit' })
  if (platform.target.includes('windows'))
    console.log('The first time, linking takes minutes without a word: zig compiles the runtime of MinGW')
  const { status, error } = spawnSync(toolchain.zigbuild, args, { cwd: root, stdio: 'inherit', env })
  if (error) console.error(error.message)
  if (status !== 0) process.exit(1)
  return path.join(TARGETS, platform.target, 'release', libraryOf(platform.target))
}

/** What people read who come upon the package of a platform. */
const readme = (name) => `# @locket/native-${name}

The binary of [@locket/native](https://www.npmjs.com/package/@locket/native), file locks for Node.js, for ${name}. It is
installed along with that package where it fits, and is of no use without it.
`

/** Where a file for Windows says where its header is, and where that says when it was linked. */
const PE_HEADER = 0x3c
const PE_TIME = 8

/** The content of a library, without the time at which it was linked: so the same sources give the same bytes. */
function reproducible(library) {
  const content = fs.readFileSync(library)
  if (content.toString('latin1', 0, 2) === 'MZ') content.writeUInt32LE(0, content.readUInt32LE(PE_HEADER) + PE_TIME)
  return content
}

/** Makes the package of a platform around its binary. */
function makePackage(name, library) {
  const folder = packageOf(name)
  fs.writeFileSync(path.join(folder, 'README.md'), readme(name))
  fs.copyFileSync(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'))
  // Never into the old one, which a process may have loaded.
  const fresh = path.join(folder, 'fresh.node')
  fs.writeFileSync(fresh, reproducible(library))
  fs.renameSync(fresh, prebuiltOf(name))
}

/** Makes the folders of all packages, with the package.json that npm's other addons have. */
function makeFolders() {
  const { status, stderr } = spawnSync(process.execPath, [NAPI, 'create-npm-dirs', '--npm-dir', PACKAGES], {
    cwd: root,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
}

module.exports = { build, makeFolders, makePackage }
