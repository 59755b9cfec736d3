'use strict'

// `npm run release:check [-- TAG]`: every file that has the version in it has the same one. With a tag, such as v1.2.3:
// it is the tag of this version, CHANGELOG.md has a section on it, and package.json names the repository. Exit code 1 if that
// is not so.
// `npm run --silent release:notes`: the section of CHANGELOG.md on this version.

const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(__dirname, '..')

const read = (name) => fs.readFileSync(path.join(root, name), 'utf8').replaceAll('\r\n', '\n')

const { version, repository } = JSON.parse(read('package.json'))

const captures = (text, pattern) => [...text.matchAll(pattern)].map(([, each]) => each)

/** The versions that a file says, beside package.json. */
const PLACES = {
  'package-lock.json'(text) {
    const { version, packages } = JSON.parse(text)
    return [version, packages[''].version, packages['packages/postgres'].version]
  },
  'packages/postgres/package.json': (text) => [JSON.parse(text).version],
  'Cargo.toml': (text) => captures(text, /^\[(?:workspace\.)?package\]\n(?:name = .+\n)?version = "(.+)"/gm),
  'Cargo.lock': (text) => captures(text, /^name = "locket(?:-native)?"\nversion = "(.+)"/gm),
}

/** What is wrong with the files that do not have the version of package.json. */
function differences() {
  return Object.entries(PLACES).flatMap(([file, versionsIn]) => {
    const found = [...new Set(versionsIn(read(file)))].join(', ')
    return found === version ? [] : [`${file} has ${found || 'no version'}, package.json has ${version}`]
  })
}

/** The section of the changelog on this version, without its heading; undefined if there is none. */
function notes() {
  const sections = read('CHANGELOG.md').split(/^## /m)
  const section = sections.find((each) => each.split(/\s/, 1)[0] === version)
  return section?.slice(section.indexOf('\n')).trim()
}

function problemsOf(tag) {
  const problems = differences()
  if (tag === undefined) return problems
  if (tag !== `v${version}`) problems.push(`The tag is ${tag}, package.json has ${version}`)
  if (!notes()) problems.push(`CHANGELOG.md has no section "## ${version}"`)
  // npm's provenance, and the links of the pages, lead there.
  if (!repository) problems.push('package.json has no "repository"')
  return problems
}

const COMMANDS = {
  check(tag) {
    const problems = problemsOf(tag)
    for (const problem of problems) console.error(problem)
    if (problems.length === 0) console.log(version)
    return problems.length === 0
  },
  notes() {
    const text = notes()
    console[text ? 'log' : 'error'](text ?? `CHANGELOG.md has no section "## ${version}"`)
    return text !== undefined
  },
}

const [command, tag] = process.argv.slice(2)
if (!(command in COMMANDS)) {
  console.error(`Unknown: ${command}. There are: ${Object.keys(COMMANDS).join(', ')}`)
  process.exit(64)
}
process.exitCode = COMMANDS[command](tag) ? 0 : 1
