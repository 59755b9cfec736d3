'use strict'

// The command `locket`.

const fs = require('node:fs')
const path = require('node:path')

const { ROOT, temporaryPath } = require('./folders.js')
const { outcomeOf, run } = require('./processes.js')

const COMMAND = path.join(ROOT, 'bin/locket.js')

/** The command, to be talked to: it, and what it runs. */
const locket = (t, args, options) => run(t, COMMAND, args, options)

/**
 * Arguments of Node for the command with changes to this package: `source`, in which `FileLock` is defined. It runs from the
 * sources, since the bundle of the command has a FileLock of its own inside.
 */
function changed(t, source) {
  const file = temporaryPath(t)
  fs.writeFileSync(file, `const { FileLock } = require(${JSON.stringify(path.join(ROOT, 'lib/index.js'))})\n${source}`)
  return ['--require', file, path.join(__dirname, '../fixtures/command.js')]
}

/** How the command ends. */
const runLocket = (args, options) => outcomeOf(process.execPath, [COMMAND, ...args], options)

module.exports = { changed, COMMAND, locket, runLocket }
