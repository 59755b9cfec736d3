'use strict'

// locket --who FILE: who holds the lock.

const { lockFile } = require('../..')
const { EXIT, lockFailure } = require('./failure.js')
const { write } = require('./output.js')

const UNLOCKED = 1

/** Resolves to the exit code. */
async function who({ json, ...request }) {
  const { path, locked, holders } = await look(request)
  if (json) write(1, `${JSON.stringify({ path, locked, holders })}\n`)
  else if (holders.length > 0) write(1, table(holders))
  // Not on stdout: there a script expects holders.
  else if (locked) write(2, `locket: ${request.file} is locked; it is not known by whom\n`)
  return locked ? EXIT.OK : UNLOCKED
}

async function look({ file, path }) {
  try {
    const lock = lockFile(path ?? file, { allowDirectory: true })
    const holders = await lock.holders()
    // Only if need be: to find it out can take the lock for an instant.
    const locked = holders.length > 0 || (await lock.isLocked())
    return { path: lock.path, locked, holders }
  } catch (error) {
    throw lockFailure(error, file)
  }
}

function table(holders) {
  const rows = holders.map(({ pid, mode, command = '' }) => [String(pid), mode, command])
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(' ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

module.exports = who
