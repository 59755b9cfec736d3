'use strict'

// locket --who FILE: lists who holds the lock or the permits, and who waits for them.

const { lockFile, waitersOf } = require('../../lib/file-lock.js')
const { EXIT, lockFailure } = require('./failure.js')
const { handleOf } = require('./handle.js')
const { write } = require('./output.js')

const UNLOCKED = 1

/** Resolves to the exit code. */
async function who({ json, ...request }) {
  const { path, locked, holders, waiters } = await look(request)
  if (json) write(1, `${JSON.stringify({ path, locked, holders, waiters })}\n`)
  else write(1, table([...holders.map((each) => rowOf(each)), ...waiters.map((each) => rowOf(each, 'waits-'))]))
  // Not on stdout, where scripts expect holders.
  if (!json && locked && holders.length === 0) write(2, `locket: ${request.file} is locked; it is not known by whom\n`)
  return locked ? EXIT.OK : UNLOCKED
}

async function look(request) {
  try {
    const { path, held, waiters } =
      request.permits === undefined ? await lookAtLock(request) : await lookAtSemaphore(request)
    // undefined where the system does not tell.
    const holders = (await Promise.all(held.map((lock) => lock.holders()))).flatMap((each) => each ?? [])
    // Only if necessary: it can take the lock for an instant.
    const locked = holders.length > 0 || (await Promise.all(held.map((lock) => lock.isLocked()))).includes(true)
    return { path, locked, holders, waiters }
  } catch (error) {
    throw lockFailure(error, request.file)
  }
}

async function lookAtLock(request) {
  const lock = handleOf(request)
  return { path: lock.path, held: [lock], waiters: (await waitersOf(lock)) ?? [] }
}

async function lookAtSemaphore(request) {
  const { slotsOf } = require('../../lib/semaphore.js')
  const handle = handleOf(request)
  // The first in line holds the gate, and all others wait for it.
  const gate = lockFile(request.path ?? request.file)
  const waiters = [...((await gate.holders()) ?? []), ...((await waitersOf(gate)) ?? [])]
  return { path: handle.path, held: await slotsOf(handle), waiters }
}

function rowOf({ pid, mode, command = '', host }, prefix = '') {
  return [String(pid), prefix + mode, host === undefined ? command : `on ${host}`]
}

/** Returns the rows as lines, in columns. */
function table(rows) {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join(' ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}

module.exports = who
