'use strict'

// The registry and the package managers that install from it: of exact versions, in target/registry, without any script
// of theirs. What is there is not fetched again.

const fs = require('node:fs')
const path = require('node:path')

const { root, run } = require('../packaging/run.js')
const runtimes = require('../runtimes/install.js')

const FOLDER = path.join(root, 'target/registry')

/** The oldest Node that the registry runs on, and the runtime that is installed if this one is older. */
const OLDEST_NODE = 22
const RUNTIME = 'node@22'

/** @type {Record<string, { package: string, version: string, program: string }>} */
const TOOLS = {
  verdaccio: { package: 'verdaccio', version: '6.10.4', program: 'build/index.js' },
  npm: { package: 'npm', version: '11.19.1', program: 'bin/npm-cli.js' },
  npx: { package: 'npm', version: '11.19.1', program: 'bin/npx-cli.js' },
  pnpm: { package: 'pnpm', version: '12.21.0', program: 'bin/pnpm.mjs' },
  'yarn 1': { package: 'yarn', version: '1.22.22', program: 'bin/yarn.js' },
  'yarn 4': { package: '@yarnpkg/cli-dist', version: '4.18.1', program: 'bin/yarn.js' },
}

/** A dependency of the registry names its own by a tag, which may be gone or of another version tomorrow. */
const MANIFEST = { private: true, overrides: { 'node-fetch': '2.6.7' } }

/** The version of a tool that is there, if there is one. */
function installedVersion(tool) {
  const file = path.join(FOLDER, 'node_modules', tool.package, 'package.json')
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')).version : undefined
}

/** Installs what is missing, each tool for itself: one that cannot be had keeps none of the others away. */
function install() {
  fs.mkdirSync(FOLDER, { recursive: true })
  const file = path.join(FOLDER, 'package.json')
  if (!fs.existsSync(file)) fs.writeFileSync(file, JSON.stringify(MANIFEST))
  for (const tool of Object.values(TOOLS)) {
    if (installedVersion(tool) === tool.version) continue
    console.log(`Installing ${tool.package} ${tool.version}`)
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', '--loglevel=error']
    const { failure } = run('npm', ['install', ...options, `${tool.package}@${tool.version}`], { cwd: FOLDER })
    if (failure) console.error(failure)
  }
  nodeOfRegistry()
}

/** The JavaScript file that is the tool, or undefined if it could not be installed. */
function programOf(name) {
  const tool = TOOLS[name]
  if (installedVersion(tool) !== tool.version) return undefined
  return path.join(FOLDER, 'node_modules', tool.package, tool.program)
}

/** A Node that the registry runs on: this one if it can. Ends this process if there is none. */
function nodeOfRegistry() {
  if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE) return process.execPath
  const program = runtimes.programOf(RUNTIME)
  return fs.existsSync(program) ? program : runtimes.install([RUNTIME])[0].command[0]
}

module.exports = { install, nodeOfRegistry, programOf }
