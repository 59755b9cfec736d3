'use strict'

// How the tests of the examples run them.

const { readdirSync, readFileSync } = require('node:fs')
const path = require('node:path')

const { eventually, Talker } = require('../support.js')

const FOLDER = path.join(__dirname, '../../examples')

const names = () => readdirSync(FOLDER).filter((name) => name.endsWith('.js'))

/** The path of an example's file. */
const pathOf = (name) => path.join(FOLDER, name)

const sourceOf = (name) => readFileSync(pathOf(name), 'utf8')

/** The environment of an example that has `folder` for its temporary files: there is all that it makes. */
const environment = (folder, more) => ({ ...process.env, TMPDIR: folder, TEMP: folder, TMP: folder, ...more })

/** Starts an example in a process of its own. */
const start = (t, name, folder, args = [], { execArgv = [], ...options } = {}) =>
  new Talker(t, process.execPath, [...execArgv, pathOf(name), ...args], { env: environment(folder), ...options })

/** How a process ends that is going to. */
const endOf = (example) => eventually(example.exited, `the end of process ${example.pid}`)

const GOOD_END = { code: 0, signal: null, stderr: '' }

module.exports = { endOf, environment, FOLDER, GOOD_END, names, pathOf, sourceOf, start }
