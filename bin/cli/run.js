'use strict'

// locket FILE COMMAND: waits for the lock, runs the command, releases the lock.

const { descriptorOf } = require('../../lib/file-lock.js')
const { endAs, endBy, runCommand, startOf } = require('./command.js')
const { inheritedDescriptors, stdioOf } = require('./descriptors.js')
const { lockFailure } = require('./failure.js')
const { handleOf } = require('./handle.js')
const { heldBy, write } = require('./output.js')
const { signalsSeen, takeSignals } = require('./signals.js')
const { announceWait } = require('./waiting.js')

/** How the message of a timeout ends if no holder is the reason. */
const UNANSWERED = ': the path does not answer'

/** Resolves to the exit code. */
async function run(request) {
  const signals = takeSignals()
  let outcome
  try {
    outcome = await lockAndRun(request, signals, inheritedDescriptors())
  } finally {
    // The default action may have to end this process.
    signals.stop()
  }
  if (outcome.interruption === undefined) return endAs(outcome)
  // At once: nothing is left to do, and a pending question about holders may never end.
  return process.exit(endBy(outcome.interruption))
}

/** Resolves to how the command has ended, to the exit code without it, or to the signal that came before it. */
async function lockAndRun(request, signals, inherited) {
  const { lock, refusal, seconds } = await acquire(request, signals.interruption)
  // Node.js may tell of a signal after the lock, although it came before.
  await signalsSeen()
  if (signals.interruption.aborted) {
    lock?.release()
    return { interruption: signals.interruption.reason }
  }
  if (refusal !== undefined) return { code: refuse(request, refusal), signal: null }
  try {
    const start = startOf(request)
    if (request.verbosity === 'verbose') {
      write(1, `locket: getting lock took ${seconds.toFixed(6)} seconds\nlocket: executing ${start.name}\n`)
    }
    // The command gets the descriptor of the locked file, so that the lock stays until it has ended, even if this process
    // is killed.
    return await runCommand(start, stdioOf(inherited, lockedDescriptor(request, lock)), signals)
  } finally {
    // Processes that the command has left behind may have the file open, too. The lock does not stay with them.
    release(lock, request.file)
  }
}

function lockedDescriptor({ permits }, lock) {
  return descriptorOf(permits === undefined ? lock : require('../../lib/semaphore.js').lockOf(lock))
}

function release(lock, file) {
  try {
    lock.release()
  } catch (error) {
    // The command has run without the lock, at least in the end.
    throw lockFailure(error, file)
  }
}

/** Resolves to the lock, or the permit, and the duration of the wait, to the timeout's error, or to neither if `signal` has fired. */
async function acquire(request, signal) {
  const { file, timeout, verbosity } = request
  const begin = performance.now()
  let stopAnnouncing
  try {
    const handle = handleOf(request)
    if (verbosity !== 'quiet') stopAnnouncing = announceWait(handle, file)
    const lock = await handle.acquire({ timeout, signal })
    return { lock, seconds: (performance.now() - begin) / 1000 }
  } catch (error) {
    if (error.code === 'ERR_LOCK_TIMEOUT') return { refusal: error }
    if (error.code === 'ABORT_ERR') return {}
    throw lockFailure(error, file)
  } finally {
    stopAnnouncing?.()
  }
}

/** Says why the command does not run, since the exit code could be the command's. Returns the exit code. */
function refuse({ file, timeout, conflictExitCode, verbosity }, { holders, message }) {
  const what = timeout === 0 ? 'failed to get lock' : 'timeout while waiting to get lock'
  const why = message.endsWith(UNANSWERED) ? UNANSWERED : heldBy(holders)
  if (verbosity !== 'quiet') write(2, `locket: ${what} of ${file}${why}\n`)
  return conflictExitCode
}

module.exports = run
