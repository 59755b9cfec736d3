'use strict'

// locket FILE COMMAND: waits for the lock, runs the command, lets go.

const { lockFile } = require('../..')
const { descriptorOf } = require('../../lib/file-lock.js')
const { endAs, runCommand, startOf } = require('./command.js')
const { lockFailure } = require('./failure.js')
const { heldBy, write } = require('./output.js')
const { announceWait } = require('./waiting.js')

/** Resolves to the exit code. */
async function run(request) {
  const begin = performance.now()
  const { lock, refusal } = await acquire(request)
  if (refusal !== undefined) {
    const what = request.timeout === 0 ? 'failed to get lock' : 'timeout while waiting to get lock'
    if (request.verbose) write(2, `locket: ${what}${heldBy(refusal.holders)}\n`)
    return request.conflictExitCode
  }
  const seconds = (performance.now() - begin) / 1000
  let outcome
  try {
    const start = startOf(request)
    if (request.verbose) {
      write(1, `locket: getting lock took ${seconds.toFixed(6)} seconds\nlocket: executing ${start.name}\n`)
    }
    outcome = await runCommand(start, descriptorOf(lock))
  } finally {
    // What the command has left behind may have the file open, too. It has not got the lock any longer.
    lock.release()
  }
  return endAs(outcome)
}

/** The lock, or the error that says who has it. */
async function acquire({ file, mode, timeout }) {
  let stopAnnouncing
  try {
    const lock = lockFile(file)
    stopAnnouncing = announceWait(lock, file)
    return { lock: await lock.acquire({ mode, timeout }) }
  } catch (error) {
    if (error.code === 'ERR_LOCK_TIMEOUT') return { refusal: error }
    throw lockFailure(error, file)
  } finally {
    stopAnnouncing?.()
  }
}

module.exports = run
