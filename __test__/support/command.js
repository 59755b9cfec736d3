'use strict'

// The command `locket`.

const path = require('node:path')

const { ROOT } = require('./folders.js')
const { outcomeOf, run } = require('./processes.js')

const COMMAND = path.join(ROOT, 'bin/locket.js')

/** The command, to be talked to: it, and what it runs. */
const locket = (t, args, options) => run(t, COMMAND, args, options)

/** How the command ends. */
const runLocket = (args, options) => outcomeOf(process.execPath, [COMMAND, ...args], options)

module.exports = { COMMAND, locket, runLocket }
