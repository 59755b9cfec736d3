'use strict'

// `npm run publish:all -- [--provenance] [--dry-run] [--registry=URL] [--tag=TAG]`: publishes the packages of all
// platforms, which `npm run prebuilds` has made in npm/, then the main package, then the drop-in, which needs it, and
// @locket/postgres: when a package can be installed, what it depends on can, too.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')

const { run } = require('./packaging/run.js')
const { platformFolders, stageDropIn, stageMain, stagePostgres } = require('./packaging/stage.js')
const { PACKAGES, PLATFORMS } = require('./prebuilds/platforms.js')

/** What went wrong is to be seen also if npm was told to be silent, as by `npm run --silent`. */
const LOUD = '--loglevel=error'

/** Is this version of the package in the registry? */
function isPublished({ name, version }, options, env) {
  const args = ['view', `${name}@${version}`, 'version', '--json', LOUD, ...options]
  const { failure, stdout } = run('npm', args, { env })
  // npm prints nothing, or E404, when there are other versions only; and E404 when there is no such package.
  if (!failure) return stdout.trim() !== ''
  if (/\bE404\b/.test(failure)) return false
  throw new Error(failure)
}

/** Publishes the package in `folder`, unless its version is there already. */
function publish(folder, { registry, publishing, env, log }) {
  const own = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
  const title = `${own.name}@${own.version}`
  if (isPublished(own, registry, env)) return log(`${title} is there already`)
  const { failure } = run('npm', ['publish', '--ignore-scripts', '--access=public', LOUD, ...registry, ...publishing], {
    cwd: folder,
    env,
  })
  if (failure) throw new Error(failure)
  log(`${title} ${publishing.includes('--dry-run') ? 'would be published' : 'is published'}`)
}

/**
 * Publishes the packages of `platforms` in the folder `npm`, the main package with them as its optional dependencies, the
 * drop-in, and @locket/postgres. What is in the registry already is left alone, so this can be repeated after it has failed half way.
 */
function publishAll({ npm, platforms, registry, tag, provenance, dryRun, env = process.env, log = console.log }) {
  const folders = platformFolders(npm, platforms)
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'locket-publish-'))
  try {
    const main = stageMain(path.join(temporary, 'main'), platforms)
    const dropIn = stageDropIn(path.join(temporary, 'proper-lockfile'))
    const postgres = stagePostgres(path.join(temporary, 'postgres'))
    const how = {
      registry: registry ? [`--registry=${registry}`] : [],
      publishing: [tag && `--tag=${tag}`, provenance && '--provenance', dryRun && '--dry-run'].filter(Boolean),
      env,
      log,
    }
    for (const folder of [...folders, main, dropIn, postgres]) publish(folder, how)
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true })
  }
}

function main() {
  let options
  try {
    const string = { type: 'string' }
    const boolean = { type: 'boolean' }
    options = parseArgs({ options: { provenance: boolean, 'dry-run': boolean, registry: string, tag: string } }).values
  } catch (error) {
    console.error(error.message)
    process.exit(64)
  }
  try {
    publishAll({ npm: PACKAGES, platforms: Object.keys(PLATFORMS), dryRun: options['dry-run'], ...options })
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}

if (require.main === module) main()

module.exports = { publishAll }
