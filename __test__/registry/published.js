'use strict'

// What is published for these tests: the main package, the drop-in, @locket/postgres, and the packages of platforms that `npm
// run prebuilds` has made.

const fs = require('node:fs')
const path = require('node:path')

const { BUNDLES, MANUAL } = require('../../scripts/bundle.js')
const { publishAll } = require('../../scripts/publish.js')
const stage = require('../../scripts/packaging/stage.js')
const { builtPlatforms, PACKAGES } = require('../../scripts/prebuilds/platforms.js')
const { programOf } = require('../../scripts/registry/install.js')
const { name: MAIN } = require('../../package.json')
const { ROOT } = require('../support/folders.js')
const { unavailable } = require('../support/systems.js')
const { Project } = require('./project.js')

/** The package whose root is `@locket/native/proper-lockfile`. */
const DROP_IN = '@locket/proper-lockfile'

/** The package that is published last. */
const POSTGRES = '@locket/postgres'

const LIBC = { gnu: 'glibc', musl: 'musl' }

/** What a platform's name says: linux-x64-gnu is Linux on x64 with glibc. */
function describe(platform) {
  const [os, cpu, abi] = platform.split('-')
  return { platform, name: stage.nameOf(platform), os, cpu, libc: LIBC[abi] }
}

/** The platforms that there are binaries for. */
const PLATFORMS = builtPlatforms().map(describe)

/** Does a platform's package fit this machine, for somebody who knows what `libc` is, or does not? */
function fitsHere({ os, cpu, libc }, knowsLibc = true) {
  const own = process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'
  return os === process.platform && cpu === process.arch && (!knowsLibc || !libc || libc === own)
}

if (!PLATFORMS.some((each) => fitsHere(each))) {
  throw new Error('npm/ has no package that fits here: `npm run prebuilds` makes it')
}

/** The pages of docs/ for those who change the code. */
const FOR_DEVELOPERS = ['architecture.md', 'releasing.md', 'unsafe.md']

const inFolder = (folder) => fs.readdirSync(path.join(ROOT, folder)).map((name) => `${folder}/${name}`)

/** What users read. */
const PAGES = [
  ...['CHANGELOG.md', 'SECURITY.md', 'benchmark/charts/throughput-dark.svg', 'benchmark/charts/throughput-light.svg'],
  ...inFolder('docs').filter((file) => !FOR_DEVELOPERS.includes(path.basename(file))),
  ...inFolder('examples'),
]

/** The files that are to be in the package of this name. */
function filesOf(name) {
  const common = ['LICENSE', 'README.md', 'package.json']
  if (name === POSTGRES) return [...common, 'dist/index.js', 'index.d.ts'].sort()
  if (name === DROP_IN) return [...common, 'index.d.ts', 'index.js'].sort()
  if (name !== MAIN) {
    const { platform } = PLATFORMS.find((each) => each.name === name)
    return [...common, stage.fileOf(platform)].sort()
  }
  const scripts = ['bin/locket.js', ...BUNDLES, ...MANUAL]
  return [...common, ...scripts, ...PAGES, 'index.d.ts', 'proper-lockfile.d.ts'].sort()
}

/** Publishes the packages of these platforms and all others in the registry. Returns what it printed, by line. */
function publishTo(registry, platforms, options) {
  const lines = []
  publishAll({
    npm: PACKAGES,
    platforms: platforms.map(({ platform }) => platform),
    registry: registry.url,
    env: { ...process.env, npm_config_userconfig: path.join(new Project(registry).home, '.npmrc') },
    log: (line) => lines.push(line),
    ...options,
  })
  return lines
}

/** Skips the test if there is no registry or no such tool; with LOCKET_REQUIRE_ALL=1 that is a failure. */
function has(t, tool) {
  const missing = ['verdaccio', tool].find((name) => !programOf(name))
  return missing === undefined || unavailable(t, `${missing} could not be installed`)
}

module.exports = { DROP_IN, filesOf, fitsHere, has, PLATFORMS, POSTGRES, publishTo }
