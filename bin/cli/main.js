'use strict'

// From the command line to the exit code. Each action loads only what it needs: the tool starts often.

const { Failure, EXIT } = require('./failure.js')
const { write } = require('./output.js')
const { parse } = require('./arguments.js')
const { withBytes } = require('./bytes.js')

const ACTIONS = {
  help() {
    write(1, require('./help.js'))
    return EXIT.OK
  },
  version() {
    write(1, `locket ${require('../../package.json').version}\n`)
    return EXIT.OK
  },
  run: (request) => require('./run.js')(request),
  who: (request) => require('./who.js')(request),
  break: (request) => require('./break.js')(request),
}

async function main(args) {
  try {
    const request = withBytes(parse(args), args)
    process.exitCode = await ACTIONS[request.action](request)
  } catch (error) {
    // An unforeseen error is shown with its stack, and must not look like a lock that is held.
    write(2, error instanceof Failure ? `locket: ${error.message}\n` : `${error.stack}\n`)
    process.exitCode = error.exitCode ?? EXIT.SOFTWARE
  }
}

module.exports = main
