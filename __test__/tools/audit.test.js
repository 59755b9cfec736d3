'use strict'

// What `npm run audit` finds in package.json and its lock file. The other checks are those of other programs.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { problemsOf } = require('../../scripts/audit.js')
const manifest = require('../../package.json')
const lock = require('../../package-lock.json')

/** The problems of the lock file with one package changed. */
function problemsWith(folder, properties) {
  const packages = { ...lock.packages, [folder]: { ...lock.packages[folder], ...properties } }
  return problemsOf(manifest, { ...lock, packages })
}

test('nothing of the package runs code when it is installed, and users get no other package', () => {
  assert.deepEqual(problemsOf(manifest, lock), [])
})

test('an install script is found, of this package and of those that it uses', () => {
  const scripts = { ...manifest.scripts, postinstall: 'node x.js' }
  assert.deepEqual(problemsOf({ ...manifest, scripts }, lock), ['package.json has an install script: postinstall'])
  assert.deepEqual(problemsWith('node_modules/publint', { hasInstallScript: true }), [
    'node_modules/publint has an install script',
  ])
  assert.deepEqual(problemsWith('node_modules/esbuild', { hasInstallScript: undefined }), [
    'node_modules/esbuild is known for an install script, and has none',
  ])
})

test('a package at run time, an address, a missing checksum or licence is found', () => {
  assert.deepEqual(problemsOf({ ...manifest, dependencies: { x: '1' } }, lock), [
    'package.json has a dependency at run time: x',
  ])
  const bad = { resolved: 'https://example.com/x.tgz', integrity: undefined, license: undefined, dev: undefined }
  assert.deepEqual(problemsWith('node_modules/publint', bad), [
    'node_modules/publint is not for development',
    'node_modules/publint names its source: https://example.com/x.tgz',
    'node_modules/publint has no checksum',
    'node_modules/publint names no licence',
  ])
})

test('of the packages beside the main one, only their own folders are exempt', () => {
  const [workspace] = manifest.workspaces
  assert.deepEqual(problemsWith(workspace, { dependencies: { x: '1' } }), [
    `${workspace} has a dependency at run time: x`,
  ])
  const nested = `${workspace}/node_modules/x`
  assert.deepEqual(problemsWith(nested, { dev: true, integrity: 'sha512-x', license: 'MIT', hasInstallScript: true }), [
    `${nested} has an install script`,
  ])
  assert.deepEqual(problemsWith('node_modules/x', { link: true, resolved: '../x', dev: true, license: 'MIT' }), [
    'node_modules/x names its source: ../x',
    'node_modules/x has no checksum',
  ])
})
