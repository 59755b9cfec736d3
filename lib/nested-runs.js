'use strict'

// Warns of a task of run() that waits for the very lock that this run() holds. It is not an error: a task may start the
// next run() without awaiting it.

/** Taken at load: a test may replace them by timers whose clock stands still. */
const { setTimeout, clearTimeout } = globalThis

/** Time until such a wait causes the warning, in milliseconds. */
const WARN_AFTER = 1000

/** Added to the message of a timeout inside `run` of the same lock. */
const NESTED = 'it was waited for inside run() of the same lock'

/** An AsyncLocalStorage of the run() that has called the present code. The first run() creates it. */
let storage

/** The number of running tasks. */
let running = 0

/** The paths that have caused a warning. */
const warned = new Set()

/**
 * Calls the task of a run() that holds `lock`, by this protocol. Resolves to the result of the task. A lock of
 * packages/postgres has a name instead of a path, and its connection instead of a protocol.
 */
async function callTask(lock, protocol, task) {
  storage ??= new (require('node:async_hooks').AsyncLocalStorage)()
  const run = { lock, path: lock.path ?? lock.name, protocol, active: true, outer: running > 0 ? current() : undefined }
  running++
  try {
    return await storage.run(run, task, lock)
  } finally {
    run.active = false
    run.lock = undefined
    // Node 20 and 22 slow down all promises of the process while it is enabled.
    if (--running === 0) storage.disable?.()
  }
}

/** Returns the run() that has called the present code and holds the lock of `path` by `protocol`, or undefined. */
function enclosingRun({ path, protocol }) {
  if (running === 0) return undefined
  let run = current()
  while (run !== undefined && !(run.path === path && run.protocol === protocol && holds(run))) run = run.outer
  return run
}

/** Returns the innermost run() around the present code that has not ended, and unlinks those that have. */
function current() {
  const innermost = { outer: storage.getStore() }
  for (let run = innermost; run !== undefined; run = run.outer) {
    // They pile up where each task starts the next run() without awaiting it.
    while (run.outer?.active === false) run.outer = run.outer.outer
  }
  return innermost.outer
}

/** Returns true if this run() still holds its lock: its task may have released it. */
const holds = (run) => run.active && run.lock.held

/** Warns if a wait for the lock of `run`, inside its task, lasts long. Returns a function to call when the wait ends. */
function watch(run) {
  const timer = setTimeout(() => {
    if (holds(run)) warn(run.path)
  }, WARN_AFTER)
  timer.unref?.()
  return () => clearTimeout(timer)
}

function warn(path) {
  if (warned.has(path)) return
  warned.add(path)
  process.emitWarning(
    `A wait for ${path} has lasted ${WARN_AFTER} ms inside run() of the same lock, which is held until its task has ended. ` +
      'If the task awaits it, it never ends: the lock is not re-entrant. Do the inner work without acquiring the lock again.',
    { type: 'LocketWarning', code: 'LOCKET_NESTED_RUN' },
  )
}

module.exports = { callTask, enclosingRun, holds, NESTED, watch }
