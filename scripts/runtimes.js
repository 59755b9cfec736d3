'use strict'

// `npm run test:runtimes`: what the package does (__test__/runtimes/), shown on every runtime. Exit code 1 if something
// fails that should work. `npm run test:runtimes -- node@24 bun`: on some of them. `-- --docs`: the table of
// docs/runtimes.md is written, too.

const fs = require('node:fs')
const path = require('node:path')

const { installInto, packAll } = require('./packaging.js')
const { prepare, root } = require('./prepare.js')
const { install, RUNTIMES } = require('./runtimes/install.js')
const { makeProject, reportFailures, showAll } = require('./runtimes/suite.js')
const { asMarkdown, asText } = require('./runtimes/table.js')

const DOCS = path.join(root, 'docs/runtimes.md')
const DOCS_PART = /(?<=<!-- runtimes -->\n)[\s\S]*(?=<!-- \/runtimes -->)/

/** The names of runtimes and the flags that were asked for. Ends this process if there is no such thing. */
function parseArguments() {
  const docs = process.argv.includes('--docs')
  const wanted = process.argv.slice(2).filter((argument) => argument !== '--docs')
  const unknown = wanted.filter((name) => !(name in RUNTIMES))
  if (unknown.length > 0 || (docs && wanted.length > 0)) {
    const problem = unknown.length > 0 ? `Unknown: ${unknown.join(', ')}` : '--docs needs all runtimes'
    console.error(`${problem}. There are: ${Object.keys(RUNTIMES).join(', ')}`)
    process.exit(64)
  }
  return { docs, wanted: wanted.length > 0 ? wanted : Object.keys(RUNTIMES) }
}

async function main() {
  const { docs, wanted } = parseArguments()
  prepare()
  const runtimes = install(wanted)
  const project = makeProject((into, folder) => installInto(into, packAll(folder)))

  const columns = []
  for (const runtime of runtimes) columns.push(await showAll(runtime, project))

  console.log(`\n${asText(columns)}`)
  const failed = reportFailures(columns)
  if (docs) fs.writeFileSync(DOCS, fs.readFileSync(DOCS, 'utf8').replace(DOCS_PART, asMarkdown(columns)))
  process.exitCode = failed ? 1 : 0
}

main()
