'use strict'

// `npm run prebuilds`: builds the binaries of all platforms on this machine, checks each, and leaves them in npm/ as the
// packages that are published. `npm run prebuilds -- linux-x64-gnu`: some of them. `-- --check`: checks what is there.

const { builtPlatforms, choosePlatforms } = require('./prebuilds/platforms.js')
const { prepare } = require('./prepare.js')

const options = process.argv.slice(2)
const checkOnly = options.includes('--check')
const wanted = choosePlatforms(options.filter((option) => option !== '--check'))

function main() {
  prepare({ addon: false })
  // Not at the top: what they need is installed only now.
  const { build, makeFolders, makePackage } = require('./prebuilds/build.js')
  const { check, writeSums } = require('./prebuilds/check.js')
  const { findToolchain, findPython } = require('./prebuilds/toolchain.js')

  if (!checkOnly) {
    const toolchain = findToolchain()
    makeFolders()
    for (const name of wanted) {
      console.log(`\n== ${name}`)
      makePackage(name, build(name, toolchain))
    }
  }

  console.log('')
  for (const name of wanted) {
    const { line, problems } = check(name, findPython())
    console.log(line)
    for (const problem of problems) console.log(`  ${problem}`)
    if (problems.length > 0) process.exitCode = 1
  }
  writeSums(builtPlatforms())
}

main()
