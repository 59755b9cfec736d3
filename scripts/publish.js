'use strict'

// `npm run publish:all -- [--provenance] [--dry-run] [--registry=URL] [--tag=TAG]`: publishes the packages of all
// platforms, which `npm run prebuilds` has made in npm/, and then the main package.

const { parseArgs } = require('node:util')

const { publishAll } = require('./packaging/publish.js')
const { PACKAGES, PLATFORMS } = require('./prebuilds/platforms.js')

const OPTIONS = {
  provenance: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  registry: { type: 'string' },
  tag: { type: 'string' },
}

function parseArguments() {
  try {
    return parseArgs({ options: OPTIONS }).values
  } catch (error) {
    console.error(error.message)
    return process.exit(64)
  }
}

const { 'dry-run': dryRun, ...values } = parseArguments()
try {
  publishAll({ npm: PACKAGES, platforms: Object.keys(PLATFORMS), dryRun, ...values })
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
