'use strict'

// The process of one trial: one row, one contestant. It is started by runner.js with one argument, a JSON object:
// { row, contestant, folder, quick, x }, where x is the point of a curve. It writes one JSON line to stdout: the
// measures, or { failed } with the reason, and `timedOut` where another try would take as long. After that the runner ends
// it, with all the processes that it has started.

const fs = require('node:fs')

const { contestant } = require('./contestants/index.js')
const { rows } = require('./rows/index.js')

function report(result) {
  // Synchronously: nothing that the contestant left behind can come in between.
  fs.writeSync(1, `${JSON.stringify(result)}\n`)
}

function fail(error) {
  report({ failed: error?.message ?? String(error), timedOut: error?.timedOut })
  process.exit(1)
}

async function main() {
  const { row: id, contestant: name, ...options } = JSON.parse(process.argv[2])
  process.on('uncaughtException', fail)
  report(await rows.find((row) => row.id === id).trial(contestant(name), options))
  // The contestant may have left threads and timers behind.
  process.exit()
}

main().catch(fail)
