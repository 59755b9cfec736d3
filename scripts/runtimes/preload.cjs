'use strict'

// Loaded before the tests in Deno, which runs the source of `-e` as an ES module: here it is run from a file, as CommonJS.

const child = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** The same arguments with a file instead of a source. */
function withoutSource(args) {
  const at = args.indexOf('-e')
  if (at === -1) return args
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'locket-source-'))
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'source.cjs')
  fs.writeFileSync(file, `process.argv.splice(1, 1)\n${args[at + 1]}`)
  return [...args.slice(0, at), file, ...args.slice(at + 2)]
}

for (const name of ['spawn', 'spawnSync', 'execFile']) {
  const original = child[name]
  child[name] = (command, args, ...rest) =>
    original(command, command === process.execPath ? withoutSource(args) : args, ...rest)
}
