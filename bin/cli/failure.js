'use strict'

// Failures and their exit codes: those of flock(1), which takes them from sysexits.h.

const EXIT = {
  OK: 0,
  USAGE: 64,
  DATA: 65,
  NO_INPUT: 66,
  UNAVAILABLE: 69,
  SOFTWARE: 70,
  SYSTEM: 71,
  CANNOT_CREATE: 73,
}

const DATA_ERRORS = ['ERR_LOCK_TIMEOUT', 'ERR_LOCK_LOST', 'ERR_LOCK_PERMITS']
const EXHAUSTED = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']

/** Ends the program with one line on stderr and `exitCode`. */
class Failure extends Error {
  constructor(message, exitCode) {
    super(message)
    this.exitCode = exitCode
  }
}

const usageError = (message) => new Failure(`${message} (try 'locket --help')`, EXIT.USAGE)

/** Returns the description of a system error, without the code and the path: the line contains them. */
function describe(error) {
  return require('node:util').getSystemErrorMap().get(error.errno)?.[1] ?? error.message
}

/** Returns the failure for an error of acquiring or asking for the lock of `file`. */
function lockFailure(error, file) {
  if (error.code === 'ERR_LOCK_UNSUPPORTED') {
    return new Failure(error.message, error.cause?.code === 'ENOLCK' ? EXIT.SYSTEM : EXIT.DATA)
  }
  // A question without an answer (a dead network mount), a lock that others have removed, another number of permits.
  if (DATA_ERRORS.includes(error.code)) return new Failure(error.message, EXIT.DATA)
  // An empty path counts as a missing file: in scripts it comes from a variable that is not set.
  if (error.code === 'ERR_INVALID_ARG_VALUE') {
    return new Failure(`cannot open lock file '${file}': ${error.message}`, EXIT.NO_INPUT)
  }
  if (error.errno === undefined) return error
  // A relative path from a folder that has been deleted leads nowhere.
  if (error.syscall !== 'open' && error.syscall !== 'uv_cwd') {
    return new Failure(`cannot lock ${file}: ${describe(error)}`, error.code === 'ENOMEM' ? EXIT.SYSTEM : EXIT.DATA)
  }
  return new Failure(`cannot open lock file ${file}: ${describe(error)}`, openExitCode(error))
}

// On Windows this includes folders (EISDIR).
function openExitCode({ code }) {
  if (EXHAUSTED.includes(code)) return EXIT.SYSTEM
  return code === 'EROFS' || code === 'ENOSPC' ? EXIT.CANNOT_CREATE : EXIT.NO_INPUT
}

/** Returns the failure for an error of spawn(). */
function commandFailure(error, command) {
  const exitCode = EXHAUSTED.includes(error.code) ? EXIT.SYSTEM : EXIT.UNAVAILABLE
  return new Failure(`failed to execute ${command}: ${describe(error)}`, exitCode)
}

module.exports = { EXIT, Failure, commandFailure, lockFailure, usageError }
