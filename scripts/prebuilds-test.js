'use strict'

// `npm run prebuilds:test`: runs the tests of the API with each binary that `npm run prebuilds` has left in npm/ and that
// this machine can run, in Node for its platform. `npm run prebuilds:test -- linux-x64-musl`: with some of them, which then
// have to run. Exits with 1 if a test fails.

const path = require('node:path')

const { installInto, pack } = require('./packaging.js')
const { stageMain } = require('./packaging/stage.js')
const { hostsOf } = require('./prebuilds/hosts.js')
const { builtPlatforms, choosePlatforms, packageOf } = require('./prebuilds/platforms.js')
const { prepare } = require('./prepare.js')
const { makeProject, report, runTests } = require('./runtimes/run.js')

/** A project in which the package is installed with the binary of a platform, which may not be this one. */
const projectFor = (name) =>
  makeProject((project, folder) => {
    const main = pack(stageMain(path.join(folder, 'main'), []), folder)
    installInto(project, { main, binary: pack(packageOf(name), folder) }, ['--force'])
  })

async function main() {
  const names = process.argv.slice(2)
  const wanted = choosePlatforms(names)
  prepare({ addon: false })
  const results = []
  const notRun = []
  for (const name of wanted) {
    const hosts = builtPlatforms().includes(name) ? hostsOf(name) : undefined
    if (!hosts) notRun.push(name)
    for (const host of hosts ?? []) results.push(await runTests(host, projectFor(name)))
  }
  const failed = report(results)
  if (notRun.length > 0) console.log(`Not built, or nothing here runs it: ${notRun.join(', ')}`)
  process.exitCode = failed || results.length === 0 || (names.length > 0 && notRun.length > 0) ? 1 : 0
}

main()
