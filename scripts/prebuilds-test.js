'use strict'

// `npm run prebuilds:test`: what the package does (__test__/runtimes/), shown by each binary that `npm run prebuilds` has
// left in npm/ and that can be run here, in Node for its platform. `npm run prebuilds:test -- linux-x64-musl`: by some of
// them. What was not run is called so. Exit code 1 if something fails.

const path = require('node:path')

const { prepare } = require('./prepare.js')
const { hostsOf, runnable } = require('./prebuilds/hosts.js')
const { builtPlatforms, choosePlatforms, packageOf } = require('./prebuilds/platforms.js')
const { installInto, pack } = require('./packaging.js')
const { stageFace } = require('./packaging/stage.js')
const { makeProject, reportFailures, showAll } = require('./runtimes/suite.js')
const { asText } = require('./runtimes/table.js')

/** Those that are asked for by name have to be there, and have to run. */
const byName = process.argv.length > 2

/** Why the binary of a platform is not run, if it is not. */
function obstacle(name) {
  if (!builtPlatforms().includes(name)) return 'it has not been built'
  return runnable().includes(name) ? undefined : 'nothing on this machine runs it'
}

/** An empty project in which the package is installed with the binary of a platform, which may not be this one. */
function projectFor(name) {
  return makeProject((into, folder) => {
    const face = pack(stageFace(path.join(folder, 'face'), []), folder)
    const packed = { face, binary: pack(packageOf(name), folder) }
    installInto(into, packed, ['--force'])
  })
}

async function main() {
  const wanted = choosePlatforms(process.argv.slice(2))
  prepare({ addon: false })
  const columns = []
  const notRun = []
  for (const name of wanted) {
    const problem = obstacle(name)
    if (problem) {
      notRun.push(`${name} was not run: ${problem}`)
      continue
    }
    const project = projectFor(name)
    for (const host of hostsOf(name)) columns.push(await showAll(host, project))
  }

  if (columns.length > 0) console.log(`\n${asText(columns)}`)
  for (const line of notRun) console.log(line)
  const failed = reportFailures(columns)
  process.exitCode = failed || columns.length === 0 || (byName && notRun.length > 0) ? 1 : 0
}

main()
