'use strict'

// The version of the package, which several files have in them (docs/releasing.md), and what is checked before a release.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { version } = require('../../package.json')
const { ROOT, temporaryFolder } = require('../support/folders.js')
const { GOOD_END, outcomeOf } = require('../support/processes.js')

const POSTGRES = 'packages/postgres/package.json'
const FILES = ['package.json', 'package-lock.json', POSTGRES, 'Cargo.toml', 'Cargo.lock', 'CHANGELOG.md']

/** A folder with what a check looks at, and the script that checks. */
function copy(t) {
  const folder = temporaryFolder(t)
  for (const file of [...FILES, 'scripts/release.js']) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
    fs.copyFileSync(path.join(ROOT, file), path.join(folder, file))
  }
  const edit = (file, from, to) => {
    const name = path.join(folder, file)
    const text = fs.readFileSync(name, 'utf8').replaceAll('\r\n', '\n')
    assert.ok(text.includes(from), `${file} has no ${from}`)
    fs.writeFileSync(name, text.replace(from, to))
  }
  return { folder, edit }
}

const release = (folder, ...args) => outcomeOf(process.execPath, [path.join(folder, 'scripts/release.js'), ...args])

test('every file that has the version in it has the same one', () => {
  assert.deepEqual(release(ROOT, 'check'), { ...GOOD_END, stdout: `${version}\n` })
})

/** What stands before the version of this package in files that have the versions of others, too. */
const BEFORE = { 'Cargo.toml': '[workspace.package]\nversion = "', 'Cargo.lock': 'name = "locket"\nversion = "' }

for (const file of ['package-lock.json', POSTGRES, 'Cargo.toml', 'Cargo.lock']) {
  test(`another version in ${file} is found`, (t) => {
    const { folder, edit } = copy(t)
    const before = BEFORE[file] ?? ''
    edit(file, `${before}${version}`, `${before}99.0.0`)
    const { code, stderr } = release(folder, 'check')
    assert.ok(stderr.startsWith(`${file} has `) && stderr.includes('99.0.0'), stderr)
    assert.equal(code, 1)
  })
}

test('another version of @locket/postgres in package-lock.json is found', (t) => {
  const { folder, edit } = copy(t)
  const before = '"name": "@locket/postgres",\n      "version": "'
  edit('package-lock.json', `${before}${version}`, `${before}99.0.0`)
  assert.match(release(folder, 'check').stderr, /^package-lock\.json has .*99\.0\.0/)
})

test('a release is of the tag of its version, CHANGELOG.md has a section on it, and the repository is named', (t) => {
  const { folder, edit } = copy(t)
  assert.match(release(folder, 'check', `v${version}`).stderr, /^package\.json has no "repository"$/m)
  edit('package.json', '"license"', '"repository": "https://example.org/locket",\n  "license"')
  const changelog = `# Changelog\n\n## ${version} - 2030-01-01\n\n### Added\n\n- This.\n\n## 0.0.1\n\n- That.\n`
  fs.writeFileSync(path.join(folder, 'CHANGELOG.md'), changelog)
  assert.equal(release(folder, 'check', `v${version}`).code, 0)
  assert.equal(release(folder, 'notes').stdout, '### Added\n\n- This.\n')
  assert.equal(release(folder, 'check', 'v99.0.0').stderr, `The tag is v99.0.0, package.json has ${version}\n`)
  edit('CHANGELOG.md', `## ${version}`, '## 99.0.0')
  assert.equal(release(folder, 'check', `v${version}`).code, 1)
  assert.equal(release(folder, 'notes').code, 1)
})
