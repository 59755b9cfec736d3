'use strict'

// Installs runtimes into target/runtimes: npm's packages of their binaries, one for each platform, without any script of
// theirs. Of each one the newest version is installed, of Node also the newest of the older lines.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { root } = require('../prepare.js')

const FOLDER = path.join(root, 'target/runtimes')
const { platform, arch } = process
const EXE = platform === 'win32' ? '.exe' : ''

const node = (range) => ({
  kind: 'node',
  package: `node-${platform === 'win32' ? 'win' : platform}-${arch}`,
  range,
  program: `bin/node${EXE}`,
})

const BUN_PLATFORMS = { win32: 'windows' }
const BUN_ARCHS = { arm64: 'aarch64' }

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
  },
  deno: {
    kind: 'deno',
    package: `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`,
    range: 'latest',
    program: `deno${EXE}`,
  },
}

/** npm installs a runtime's package by an alias, since there are several versions of Node. */
const aliasOf = (name) => name.replace('@', '-')

const programOf = (name) => path.join(FOLDER, 'node_modules', aliasOf(name), RUNTIMES[name].program)

/** Installs the runtimes of these names. Returns them with their versions. */
function install(names) {
  fs.mkdirSync(FOLDER, { recursive: true })
  // A project of its own: otherwise npm takes the package's folder.
  const manifest = path.join(FOLDER, 'package.json')
  if (!fs.existsSync(manifest)) fs.writeFileSync(manifest, '{ "private": true }\n')
  const isThere = (name) => fs.existsSync(programOf(name))
  const specs = names.map((name) => `${aliasOf(name)}@npm:${RUNTIMES[name].package}@${RUNTIMES[name].range}`)
  const options = ['--ignore-scripts', '--no-audit', '--no-fund']
  // Without a network npm reports that at once, not after minutes, if all of them are there.
  if (names.every(isThere)) options.push('--fetch-retries=0')
  else console.log('Installing runtimes')
  const { status, stderr } = spawnSync('npm', ['install', ...options, ...specs], {
    cwd: FOLDER,
    encoding: 'utf8',
    shell: platform === 'win32',
  })
  const missing = names.filter((name) => !isThere(name))
  if (missing.length > 0) throw new Error(`${stderr}\nCannot be installed: ${missing.join(', ')}`)
  if (status !== 0) console.log('npm cannot tell whether there are newer versions: those that are here are used')
  return names.map((name) => describe({ name, ...RUNTIMES[name], command: [programOf(name)] }))
}

/** The runtime with its version, which proves that it runs here at all. */
function describe(runtime) {
  const [program, ...args] = runtime.command
  const { status, stdout, stderr, error } = spawnSync(program, [...args, '--version'], { encoding: 'utf8' })
  const version = /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0]
  if (status !== 0 || !version) throw new Error(`${runtime.name} does not run here: ${error?.message ?? stderr}`)
  return { ...runtime, version }
}

module.exports = { describe, install, programOf, RUNTIMES }
