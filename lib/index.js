'use strict'

// The public API. Its types and documentation are in index.d.ts.

const { CHECKS, checkOptions, checkPath, checkTask, checkWait } = require('./arguments.js')
const { captureCall, forgetCall, withCall } = require('./call-stack.js')
const { addHolders, failureError, LockError, LockTimeoutError } = require('./errors.js')
const { FileLock, LOCK_FILE_OPTIONS, internalLock, lockFile, members, steal, waitersOf } = require('./file-lock.js')
const native = require('./native.js')
const { callTask } = require('./nested-runs.js')
const { LockManager } = require('./web-locks.js')

const { query } = native

// What most programs do without is loaded when it is first needed.
const lockFiles = (paths, options) => require('./lock-files.js').lockFiles(paths, options)
const semaphore = (path, permits, options) => require('./semaphore.js').semaphore(path, permits, options)

module.exports = { lockFile, lockFiles, query, semaphore, FileLock, LockError, LockManager, LockTimeoutError }

// For the parts of this package that are loaded when they are needed, not public. (By Object.defineProperty it would be: Node looks
// for that in the source to find the names that can be imported.) The clock and the timers are taken now: a test
// may replace them.
Reflect.defineProperty(module.exports, 'internals', {
  value: {
    LOCK_FILE_OPTIONS,
    addHolders,
    callStack: { captureCall, forgetCall, withCall },
    callTask,
    checks: { CHECKS, checkOptions, checkPath, checkTask, checkWait },
    failureError,
    hrtime: process.hrtime,
    internalLock,
    members,
    steal,
    timers: { clearTimeout, setTimeout },
    waitersOf,
  },
})
