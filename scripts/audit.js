'use strict'

// `npm run audit`: what the package is made of. Licences, sources and known holes of the crates and npm packages, and
// whether any of them runs code when it is installed. Takes cargo-deny, which it installs in the clone's target folder if
// it is not there. What cannot be asked here is said plainly, and with LOCKET_REQUIRE_ALL=1 is a failure.

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const { root } = require('./prepare.js')
const crates = require('./audit/crates.js')
const { licencesOf, problemsOf } = require('./audit/packages.js')

const manifest = require(path.join(root, 'package.json'))
const lock = require(path.join(root, 'package-lock.json'))

function report(what, { verdict, text = '' }) {
  const isBad = verdict === 'failed' || (verdict === 'not checked' && process.env.LOCKET_REQUIRE_ALL === '1')
  if (isBad) process.exitCode = 1
  const reason = verdict === 'not checked' && text !== '' ? `: ${text}` : ''
  console.log(`${what} ${verdict}${reason}`)
  if (verdict === 'failed') console.log(text)
}

/** Known holes in the npm packages. The registry is asked, and not each one answers. */
function npmAudit() {
  const windows = process.platform === 'win32'
  const { stdout } = spawnSync('npm', ['audit', '--json'], { cwd: root, encoding: 'utf8', shell: windows })
  let answer
  try {
    answer = JSON.parse(stdout)
  } catch {
    return { verdict: 'not checked', text: 'npm audit says nothing' }
  }
  if (answer.vulnerabilities === undefined) {
    return { verdict: 'not checked', text: `the registry does not answer (${answer.error?.summary || answer.message})` }
  }
  const names = Object.keys(answer.vulnerabilities)
  return names.length === 0 ? { verdict: 'passed' } : { verdict: 'failed', text: `npm audit names ${names.join(', ')}` }
}

function main() {
  const obstacle = crates.install()
  const deny = obstacle ? () => ({ verdict: 'not checked', text: obstacle }) : crates.deny
  report('Crates: licences, bans, sources', deny('licenses', 'bans', 'sources'))
  report('Crates: advisories', deny('advisories'))

  const problems = problemsOf(manifest, lock)
  report('npm packages: install scripts, sources, checksums', {
    verdict: problems.length === 0 ? 'passed' : 'failed',
    text: problems.join('\n'),
  })
  report('npm packages: advisories', npmAudit())

  const licences = { crate: crates.licences(), npm: licencesOf(lock) }
  console.log(`\nLicences
  crates in the addon, or that build it: ${licences.crate.runTime}
  crates for tests: ${licences.crate.development}
  npm packages that users get: ${licences.npm.runTime}
  npm packages for development: ${licences.npm.development}`)
}

main()
