'use strict'

// The process of one trial: one row, one contestant. runner.js starts it with one argument, a JSON object:
// { row, contestant, folder, quick, x }, where x is the point of a curve. It writes one JSON line to stdout, the measures,
// or { failed } with the reason, and `timedOut` if another try would take as long. Then it kills itself.

const fs = require('node:fs')

const { contestant } = require('./contestants/index.js')
const { rows } = require('./rows/index.js')

function end(result) {
  fs.writeSync(1, `${JSON.stringify(result)}\n`)
  // Not process.exit(): it waits for the threads of libuv's pool, in which some peers wait for a lock.
  process.kill(process.pid, 'SIGKILL')
}

const fail = (error) => end({ failed: error?.message ?? String(error), timedOut: error?.timedOut })

async function main() {
  const { row: id, contestant: name, quick, ...options } = JSON.parse(process.argv[2])
  process.on('uncaughtException', fail)
  const row = rows.find((each) => each.id === id)
  const sizes = quick ? row.quick : row.full
  end(await row.trial(contestant(name), { ...options, ...sizes }))
}

main().catch(fail)
