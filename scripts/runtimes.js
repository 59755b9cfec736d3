'use strict'

// `npm run test:runtimes`: runs the tests of the API in every runtime, with the package as users install it. Exits with 1
// if one fails that has to pass. `npm run test:runtimes -- node@24 bun`: in some of them; the line of Node that runs this is
// left to `npm test` otherwise. `-- --docs`: in all of them, and writes what was found into docs/runtimes.md.

const fs = require('node:fs')
const path = require('node:path')
const { parseArgs } = require('node:util')

const { installInto, packAll } = require('./packaging.js')
const { prepare, root } = require('./prepare.js')
const { install, RUNTIMES } = require('./runtimes/install.js')
const { LIMITS } = require('./runtimes/limits.js')
const { makeProject, report, runTests, titleOf } = require('./runtimes/run.js')

const DOCS = path.join(root, 'docs/runtimes.md')
const DOCS_PART = /(?<=<!-- runtimes -->\n)[\s\S]*(?=<!-- \/runtimes -->)/

/** The results as Markdown. */
function asMarkdown(results) {
  const titles = results.map(({ runtime }) => titleOf(runtime)).join(', ')
  const limits = LIMITS.filter(({ text }) => text).map(({ on, text }) => {
    const where = results.map(({ runtime }) => titleOf(runtime)).filter((title) => on.test(title))
    return `- ${where.join(', ')}: ${text}\n`
  })
  return `\nThe tests pass on ${titles} (${process.platform}, ${process.arch}), except for this:\n\n${limits.join('')}\n`
}

async function main() {
  const { values, positionals } = parseArgs({ options: { docs: { type: 'boolean' } }, allowPositionals: true })
  const all = Object.keys(RUNTIMES).filter(
    (name) => values.docs || name !== `node@${process.versions.node.split('.')[0]}`,
  )
  const wanted = positionals.length > 0 ? positionals : all
  const unknown = wanted.filter((name) => !(name in RUNTIMES))
  if (unknown.length > 0 || (values.docs && positionals.length > 0)) {
    console.error(`The runtimes are: ${Object.keys(RUNTIMES).join(', ')}. --docs needs all of them`)
    process.exit(64)
  }
  prepare()
  const home = makeProject((project, folder) => installInto(project, packAll(folder)))
  const results = []
  for (const runtime of install(wanted)) results.push(await runTests(runtime, home))
  const failed = report(results)
  if (values.docs) fs.writeFileSync(DOCS, fs.readFileSync(DOCS, 'utf8').replace(DOCS_PART, asMarkdown(results)))
  process.exitCode = failed ? 1 : 0
}

main()
