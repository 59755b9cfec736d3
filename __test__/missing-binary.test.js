'use strict'

// What users read who have the package, but not the binary for their platform.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { temporaryFolder } = require('./support.js')

const root = path.resolve(__dirname, '..')
const { name, version } = require('../package.json')

const HERE = (() => {
  const binary = fs.readdirSync(root).find((file) => /^locket\..*\.node$/.test(file))
  return binary.split('.')[1]
})()
const OPTIONAL = { [`${name}-${HERE}`]: version, [`${name}-another`]: version }

/** Loads the package as it is published, but without any binary. `prelude` runs before that. What the error says. */
function load(t, { optionalDependencies = OPTIONAL, prelude = '', binary } = {}) {
  const modules = path.join(temporaryFolder(t), 'node_modules')
  const folder = path.join(modules, name)
  for (const part of ['index.js', 'lib', 'native.js']) {
    fs.cpSync(path.join(root, part), path.join(folder, part), { recursive: true })
  }
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name, version, optionalDependencies }))
  if (binary !== undefined) {
    const of = path.join(modules, `${name}-${HERE}`)
    fs.mkdirSync(of)
    fs.writeFileSync(path.join(of, 'package.json'), JSON.stringify({ version, main: 'locket.node' }))
    fs.writeFileSync(path.join(of, 'locket.node'), binary)
  }
  const script = `${prelude}
    try { require(${JSON.stringify(folder)}) } catch (error) {
      console.log(JSON.stringify({ name: error.name, message: error.message, cause: error.cause.message }))
    }`
  const { NAPI_RS_NATIVE_LIBRARY_PATH, ...env } = process.env
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', env })
  return JSON.parse(stdout || JSON.stringify(`nothing was thrown: ${stderr}`))
}

test('a package that is not installed is named, with what leaves it out and how to get it', (t) => {
  const { name: kind, message, cause } = load(t)
  assert.equal(kind, 'Error')
  assert.match(message, new RegExp(`^@locket/native finds no binary for ${HERE}, Node v`))
  assert.ok(message.includes(`The package @locket/native-${HERE} is not installed.`), message)
  assert.match(message, /--omit=optional, --no-optional/)
  assert.match(message, /another C library/)
  assert.match(message, /package-lock\.json/)
  assert.ok(message.endsWith(`npm install @locket/native-${HERE}@${version}`), message)
  assert.match(cause, /Cannot find native binding/)
})

test('a package that is there but does not load: the system says why', (t) => {
  const { message } = load(t, { binary: 'no binary' })
  assert.ok(message.includes(`The package @locket/native-${HERE} is installed, but cannot be loaded: `), message)
  assert.ok(message.includes('locket.node'), message)
  assert.match(message, /npm run build/)
})

test('a platform without a prebuilt binary is told how to build', (t) => {
  const { message } = load(t, { prelude: "Object.defineProperty(process, 'arch', { value: 's390x' })" })
  assert.match(message, /There is no prebuilt binary for \S+-s390x/)
  assert.match(message, /takes Rust.*\n?.*npm run build/)
  assert.match(message, /NAPI_RS_NATIVE_LIBRARY_PATH/)
})

test('with another C library the package for that is the one that is missing', {
  skip: process.platform !== 'linux',
}, (t) => {
  const prelude = 'process.report.getReport = () => ({ header: {} })'
  const binary = `${name}-linux-${process.arch}-musl`
  const { message } = load(t, { prelude, optionalDependencies: { [binary]: version } })
  assert.ok(message.includes(`The package ${binary} is not installed.`), message)
})

test('in a clone it says how to build', (t) => {
  // Without optional dependencies, which are written when the package is published.
  const { message } = load(t, { optionalDependencies: null })
  assert.match(message, /This is a clone: `npm run build` builds the binary/)
})
