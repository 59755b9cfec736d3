'use strict'

// locket --who FILE: lists who holds the lock or the permits, and who waits for them.

const fs = require('node:fs')

const { lockFile, waitersOf } = require('../../lib/file-lock.js')
const { MOST_PERMITS } = require('./arguments.js')
const { EXIT, lockFailure } = require('./failure.js')
const { handleOf } = require('./handle.js')
const { write } = require('./output.js')

const UNLOCKED = 1

/** The most bytes of the file of a semaphore. */
const LONGEST_NUMBER = 64

/** Resolves to the exit code. */
async function who({ json, ...given }) {
  const request = { ...given, permits: given.permits ?? permitsIn(given) }
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

/** Returns the number of permits in the file of a semaphore, undefined if it is none, or if the question is about another lock. */
function permitsIn({ file, path = file, protocol }) {
  if (protocol !== undefined) return undefined
  try {
    const stat = fs.statSync(path)
    // A FIFO would block.
    if (!stat.isFile() || stat.size > LONGEST_NUMBER) return undefined
    const [, number] = /^([1-9]\d{0,3}) permits\n(?:(?:t?s)?\n)?$/.exec(fs.readFileSync(path, 'latin1')) ?? []
    return number <= MOST_PERMITS ? Number(number) : undefined
  } catch {
    // It is missing, or may not be read.
    return undefined
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
