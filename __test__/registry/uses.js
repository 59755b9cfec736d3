'use strict'

// What a project does with the package: everything that it was installed for.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')

const { root } = require('../../scripts/packaging/run.js')
const { name: MAIN, version: VERSION } = require('../../package.json')

const MODULES = path.join(root, 'node_modules')

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

/** The same in TypeScript, which finds out by the way whether there are any types. */
const TYPED = `
  import { type FileLock, type LockMode, lockFile, LockTimeoutError } from '${MAIN}'
  const mode: LockMode = 'exclusive'
  const lock: FileLock = await lockFile('test.lock', { mode }).acquire({ timeout: 5000 })
  const refused: unknown = await lockFile('test.lock').acquire({ timeout: 0 }).catch((error: unknown) => error)
  console.log(lock.held, refused instanceof LockTimeoutError)
  lock.release()
  console.log(await lockFile('test.lock').isLocked())
  // @ts-expect-error: a path is no number
  if (lock.held) lockFile(1)
`

/** Says which binaries serve it. */
const LOADED = `
  require('${MAIN}')
  const binaries = Object.keys(require.cache).filter((file) => file.endsWith('.node'))
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

/** With TypeScript in the project, as somebody has installed it who writes for Node. */
function assertCompiled(project) {
  for (const name of ['typescript', '@types/node', 'undici-types']) {
    fs.cpSync(path.join(MODULES, name), path.join(project.folder, 'node_modules', name), { recursive: true })
  }
  const compilerOptions = { module: 'node16', target: 'es2022', strict: true, skipDefaultLibCheck: true }
  project.write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['typed.mts'] }))
  project.write('typed.mts', TYPED)
  assert.deepEqual(project.node('node_modules/typescript/bin/tsc', '--pretty', 'false'), { status: 0, output: '' })
  assert.deepEqual(project.node('typed.mjs'), WORKS)
}

/** That this file is the one binary that is loaded. */
function assertLoads(project, file) {
  project.write('loaded.cjs', LOADED)
  assert.deepEqual(project.node('loaded.cjs'), { status: 0, output: `${file}\n` })
}

function assertCommand(project) {
  assert.equal(project.exec('locket', '--version'), `locket ${VERSION}\n`)
}

module.exports = { assertCommand, assertCompiled, assertImported, assertLoads, assertRequired }
