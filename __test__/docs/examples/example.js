'use strict'

// How the tests of the examples run them.

const { readdirSync, readFileSync } = require('node:fs')
const path = require('node:path')

const { ROOT } = require('../../support/folders.js')
const { run } = require('../../support/processes.js')

const FOLDER = path.join(ROOT, 'examples')

const names = () => readdirSync(FOLDER).filter((name) => name.endsWith('.js'))

/** The path of an example's file. */
const pathOf = (name) => path.join(FOLDER, name)

const sourceOf = (name) => readFileSync(pathOf(name), 'utf8')

/** The environment of an example that has `folder` for its temporary files: there is all that it makes. */
const environment = (folder, more) => ({ ...process.env, TMPDIR: folder, TEMP: folder, TMP: folder, ...more })

/** Starts an example in a process of its own. */
const start = (t, name, folder, args = [], options = {}) =>
  run(t, pathOf(name), args, { env: environment(folder), ...options })

module.exports = { environment, FOLDER, names, pathOf, sourceOf, start }
