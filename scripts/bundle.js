'use strict'

// Makes dist/ of lib/ and bin/cli/: one file for the API, since loading ten takes twice the time, and one for the command,
// with its man page and completions. And dist/ in packages/postgres, which shares some files of lib/ and has no dependency on
// the main package. Names stay as they are: they stand in stack traces.

const fs = require('node:fs')
const path = require('node:path')

const { MANUAL, writeManual } = require('./manual.js')

const root = path.resolve(__dirname, '..')
const DIST = path.join(root, 'dist')

/** The imports and exports of a source. Those inside functions are left alone: they are loaded when they are needed. */
const IMPORT = /^const (\w+|\{[^}]*\}) = require\('(\.[^']+)'\)$/gm
const EXPORT = /^module\.exports = (?:(\w+)|(\{[^}]*\}))$/m

/**
 * Reads the sources as ES modules, all of which esbuild puts into one scope. Of CommonJS it makes a function for each
 * file, and V8 compiles them one by one.
 */
const asModules = {
  name: 'as-modules',
  setup({ initialOptions, onLoad }) {
    const entries = Object.values(initialOptions.entryPoints).map((entry) => path.join(root, entry))
    onLoad({ filter: /\.js$/ }, ({ path: file }) => {
      const contents = fs.readFileSync(file, 'utf8').replace(IMPORT, "import $1 from '$2'")
      if (entries.includes(file)) return { contents }
      return { contents: contents.replace(EXPORT, (_, one, all) => (one ? `export default ${one}` : `export ${all}`)) }
    })
  },
}

/** The files of lib/ that most programs do without: loaded when they are needed, and copied as they are. */
const RARE = ['existence.js', 'missing-binary.js', 'programs.js', 'proper-lockfile.js']

/** The one that is written anew: what it asks for by a variable, bundlers could not see. */
const BINARIES = 'binaries.js'

/** The same, with what they need of others. What has a state stays in the one file of the API, and comes from there. */
const WITH_PARTS = ['lock-files.js', 'lock-manager.js', 'protocols.js', 'semaphore.js']

const COMMON = {
  absWorkingDir: root,
  outdir: DIST,
  bundle: true,
  platform: 'node',
  target: 'node20',
  external: [...[BINARIES, ...RARE, ...WITH_PARTS].map((name) => `./${name}`), path.join(root, 'package.json')],
  logLevel: 'warning',
  // The entry is imported by none, and stays CommonJS.
  logOverride: { 'commonjs-variable-in-esm': 'silent' },
}

/** Returns lib/binaries.js with a line for each platform that there are binaries for. */
function withPlatforms() {
  // Not at the top: these need this file.
  const { PLATFORMS } = require('./prebuilds/platforms.js')
  const ask = '      return require(binary)\n'
  const lines = Object.keys(PLATFORMS).map(
    (name) => `      if (platform === '${name}') return require('@locket/native-${name}')\n`,
  )
  return fs
    .readFileSync(path.join(root, 'lib', BINARIES), 'utf8')
    .replace(ask, `${lines.join('')}      return undefined\n`)
}

async function bundle() {
  // Not at the top: it may be installed only after this file was loaded.
  const { build } = require('esbuild')
  await build({ ...COMMON, entryPoints: { index: 'lib/index.js' }, plugins: [asModules] })
  for (const name of WITH_PARTS) {
    const external = [...COMMON.external, './index.js']
    await build({ ...COMMON, entryPoints: [`lib/${name}`], external })
  }
  // What one action of the command needs, the others do not load.
  await build({ ...COMMON, entryPoints: { command: 'bin/cli/main.js' } })
  const postgres = { entryPoints: { index: 'packages/postgres/lib/index.js' }, outdir: 'packages/postgres/dist' }
  await build({ ...COMMON, ...postgres, external: ['pg'], plugins: [asModules] })
  for (const name of RARE) fs.copyFileSync(path.join(root, 'lib', name), path.join(DIST, name))
  fs.writeFileSync(path.join(DIST, BINARIES), withPlatforms())
  writeManual(DIST)
}

if (require.main === module) bundle()

module.exports = {
  BUNDLES: ['index.js', 'command.js', BINARIES, ...RARE, ...WITH_PARTS].map((name) => `dist/${name}`),
  MANUAL: MANUAL.map((name) => `dist/${name}`),
  POSTGRES_BUNDLE: 'packages/postgres/dist/index.js',
}
