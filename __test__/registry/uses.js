'use strict'

// What a project does with the package. TypeScript and bundlers are in packaging.test.js.

const assert = require('node:assert/strict')

const { name: MAIN, version: VERSION } = require('../../package.json')

/** A program takes a lock, and sees that it has it, and that it is free later. `load` defines `all`. */
const program = (load) => `
  ${load}
  const { lockFile, LockTimeoutError } = all
  lockFile('test.lock').run(async (lock) => {
    const refused = await lockFile('test.lock').acquire({ timeout: 0 }).catch((error) => error)
    console.log(lock.held, refused instanceof LockTimeoutError)
  }).then(async () => console.log(await lockFile('test.lock').isLocked()))
`
const WORKS = { status: 0, output: 'true true\nfalse\n' }

/** Says which binaries serve it. */
const LOADED = `
  require('${MAIN}')
  const binaries = process.report.getReport().sharedObjects.filter((file) => file.endsWith('.node'))
  console.log(...binaries.map((file) => require('node:path').basename(file)))
`

function assertRequired(project) {
  project.write('required.cjs', program(`const all = require('${MAIN}')`))
  assert.deepEqual(project.node('required.cjs'), WORKS)
}

function assertImported(project) {
  project.write('imported.mjs', program(`import * as all from '${MAIN}'`))
  assert.deepEqual(project.node('imported.mjs'), WORKS)
}

/** That this file is the one binary that is loaded. */
function assertLoads(project, file) {
  project.write('loaded.cjs', LOADED)
  assert.deepEqual(project.node('loaded.cjs'), { status: 0, output: `${file}\n` })
}

function assertCommand(project) {
  assert.equal(project.exec('locket', '--version'), `locket ${VERSION}\n`)
}

module.exports = { assertCommand, assertImported, assertLoads, assertRequired }
