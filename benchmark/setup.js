'use strict'

// Installs what is missing or out of date: the packages of package.json, the floor, and Python's libraries. What cannot
// be installed is left out, and the report says so.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { preparePython } = require('../scripts/python.js')

const FLOOR = path.join(__dirname, 'floor')

/** How many lines of the output of a failing command are shown. */
const KEPT = 15

/**
 * Installs the packages that draw the charts and, unless `parts` is `'charts'`, the peers, which are optional: npm leaves
 * out those that cannot be installed. Returns what failed, if anything did.
 */
function installPackages(parts = 'all') {
  // An addon that is compiled for one version of Node need not run with another one.
  const lock = fs.readFileSync(path.join(__dirname, 'package-lock.json'), 'utf8')
  const wanted = `${lock}${process.platform}-${process.arch}-${process.versions.modules}`
  const stamps = ['charts', 'all'].map((name) => path.join(__dirname, `node_modules/.installed-${name}`))
  if (parts === 'charts') stamps.pop()
  if (contentOf(stamps.at(-1)) === wanted) return undefined
  console.error(`Installing the packages of the benchmark${parts === 'all' ? ' and its peers' : ''}`)
  const omit = parts === 'all' ? [] : ['--omit=optional']
  const failure = run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error', ...omit], __dirname, ourNode())
  if (!failure) for (const stamp of stamps) fs.writeFileSync(stamp, wanted)
  return failure
}

/** Has npm compile for the Node that runs this, with its headers if it brings them; else npm fetches some. */
function ourNode() {
  const folder = path.dirname(process.execPath)
  const prefix = path.dirname(folder)
  const hasHeaders = fs.existsSync(path.join(prefix, 'include/node/node.h'))
  return { PATH: folder + path.delimiter + process.env.PATH, ...(hasHeaders && { npm_config_nodedir: prefix }) }
}

/** Cargo knows what is out of date. */
function buildFloor() {
  const target = path.join(FLOOR, 'target')
  const addon = path.join(FLOOR, 'floor.node')
  if (!fs.existsSync(addon)) console.error('Building the floor')
  const failure = run('cargo', ['build', '--release', '--locked', '--quiet', '--target-dir', target], FLOOR)
  if (failure) return failure
  // Not over the old file, which a process may have mapped.
  fs.rmSync(addon, { force: true })
  fs.copyFileSync(path.join(target, 'release/liblocket_floor.so'), addon)
  return undefined
}

/** Starts a server, which ends with this process, and names it in the environment. */
async function startPostgres() {
  const { obstacle, sharedServer } = require('../packages/postgres/test/support/server.js')
  if (obstacle) return obstacle
  process.env.LOCKET_BENCH_POSTGRES = (await sharedServer()).url
  return undefined
}

/** Sets up all that these contestants need. Resolves to the reasons of those that cannot be set up. */
async function setUp(contestants) {
  const failed = installPackages()
  const builders = {
    floor: buildFloor,
    python: preparePython,
    sem: () => run('sem', ['--version'], __dirname),
    postgres: startPostgres,
  }
  const failures = {}
  for (const { needs } of contestants) if (needs && !(needs in failures)) failures[needs] = await builders[needs]()
  const reasons = contestants.map(({ needs, entry }) => {
    const reason = failures[needs] ?? (entry && !fs.existsSync(entry) && (failed ?? 'npm has left it out'))
    return reason && `not installed here: ${reason}`
  })
  return new Map(contestants.map((contestant, index) => [contestant, reasons[index]]).filter(([, reason]) => reason))
}

/** Runs a command. Returns what failed, if anything did. */
function run(command, args, cwd, env) {
  const options = { cwd, encoding: 'utf8', env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] }
  const { status, error, stderr } = spawnSync(command, args, options)
  if (status === 0) return undefined
  if (stderr) console.error(stderr.trimEnd().split('\n').slice(-KEPT).join('\n'))
  return `${command} ${args[0]} failed: ${error?.message ?? `exit code ${status}`}`
}

const contentOf = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined)

module.exports = { installPackages, setUp }
