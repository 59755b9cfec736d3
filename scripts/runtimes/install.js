'use strict'

// Which runtimes there are, and where they come from: npm's packages of their binaries, one for each platform. They are
// installed into target/runtimes, without any script of theirs. Of each one the newest version is taken, of Node also the
// newest of its older lines; what is there and is the newest is not fetched again.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { root } = require('../prepare.js')

const FOLDER = path.join(root, 'target/runtimes')
const { platform, arch } = process
const EXE = platform === 'win32' ? '.exe' : ''

/** What it takes to load the package and nothing more: neither may files be written, nor processes started. */
const NODE_PERMISSIONS = ['--allow-addons', '--allow-fs-read=*']
const DENO_PERMISSIONS = ['--no-prompt', '--allow-ffi', '--allow-read', '--allow-env=NAPI_RS_NATIVE_LIBRARY_PATH']

/** The flags of Node by its version. */
const nodeFlags = (version) => ({
  args: ['--expose-gc'],
  restricted: [version.startsWith('20') ? '--experimental-permission' : '--permission', ...NODE_PERMISSIONS],
})

const node = (range) => ({
  kind: 'node',
  package: `node-${platform === 'win32' ? 'win' : platform}-${arch}`,
  range,
  program: `bin/node${EXE}`,
  ...nodeFlags(range),
})

const BUN_PLATFORMS = { win32: 'windows' }
const BUN_ARCHS = { arm64: 'aarch64' }

/**
 * `args` start a file with all that the behaviours need, `restricted` start one with what the package needs alone.
 * @type {Record<string, { kind: string, package: string, range: string, program: string, args: string[], restricted?: string[] }>}
 */
const RUNTIMES = {
  'node@20': node('20'),
  'node@22': node('22'),
  'node@24': node('24'),
  'node@newest': node('latest'),
  bun: {
    kind: 'bun',
    package: `@oven/bun-${BUN_PLATFORMS[platform] ?? platform}-${BUN_ARCHS[arch] ?? arch}`,
    range: 'latest',
    program: `bin/bun${EXE}`,
    args: ['run'],
  },
  deno: {
    kind: 'deno',
    package: `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`,
    range: 'latest',
    program: `deno${EXE}`,
    args: ['run', '--allow-all', '--v8-flags=--expose-gc'],
    restricted: ['run', ...DENO_PERMISSIONS],
  },
}

/** The folder of a runtime's package: npm installs it by an alias, since there are several versions of Node. */
const aliasOf = (name) => name.replace('@', '-')

/** The program of a runtime, whether it is installed or not. */
const programOf = (name) => path.join(FOLDER, 'node_modules', aliasOf(name), RUNTIMES[name].program)

/** Installs the runtimes of these names. They come back with the version that they have. */
function install(names) {
  fs.mkdirSync(FOLDER, { recursive: true })
  // A project of its own: else npm would take the package's folder for the one that is meant.
  const manifest = path.join(FOLDER, 'package.json')
  if (!fs.existsSync(manifest)) fs.writeFileSync(manifest, '{ "private": true }\n')
  const isThere = (name) => fs.existsSync(programOf(name))
  const specs = names.map((name) => `${aliasOf(name)}@npm:${RUNTIMES[name].package}@${RUNTIMES[name].range}`)
  const options = ['--ignore-scripts', '--no-audit', '--no-fund']
  // Without a network npm is to say so at once, not after minutes, if all is there.
  if (names.every(isThere)) options.push('--fetch-retries=0')
  else console.log('Installing runtimes')
  const { status, stderr } = spawnSync('npm', ['install', ...options, ...specs], {
    cwd: FOLDER,
    encoding: 'utf8',
    shell: platform === 'win32',
  })
  const missing = names.filter((name) => !isThere(name))
  if (missing.length > 0) {
    console.error(`${stderr}\nCannot be installed: ${missing.join(', ')}`)
    process.exit(1)
  }
  if (status !== 0) console.log('npm cannot say whether there are newer versions: those that are here are taken')
  return names.map((name) => ({ name, ...RUNTIMES[name], command: [programOf(name)], version: versionOf(name) }))
}

/** The version of a runtime, which shows that it runs here at all. Ends this process if it does not. */
function versionOf(name) {
  const { status, stdout, stderr, error } = spawnSync(programOf(name), ['--version'], { encoding: 'utf8' })
  const version = /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0]
  if (status === 0 && version) return version
  console.error(`${name} does not run here: ${error?.message ?? stderr}`)
  return process.exit(1)
}

module.exports = { install, nodeFlags, programOf, RUNTIMES }
