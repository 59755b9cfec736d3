'use strict'

// A task of run() that waits for the very lock that this run() holds waits for itself. It is not refused: a task may
// start the next run() without awaiting it. It causes a warning instead.

/** As it is when this is loaded: a test may replace it by one whose clock stands still. */
const { setTimeout, clearTimeout } = globalThis

/** How long such a wait lasts before the warning, in milliseconds. */
const PATIENCE = 1000

/** The run() that the present code was called by, as an AsyncLocalStorage. Made by the first run(). */
let storage

/** How many tasks are under way. */
let running = 0

/** The paths that a warning has been given for. */
const warned = new Set()

/** Calls the task of a run() that holds `lock`. Resolves to its result. */
async function callTask(lock, task) {
  storage ??= new (require('node:async_hooks').AsyncLocalStorage)()
  const run = { lock, path: lock.path, active: true, outer: running > 0 ? current() : undefined }
  running++
  try {
    return await storage.run(run, task, lock)
  } finally {
    run.active = false
    run.lock = undefined
    // While it is enabled, Node 20 and 22 are slower with all promises of the process.
    if (--running === 0) storage.disable?.()
  }
}

/** Returns the run() in whose task the present code is and that holds the lock of `path`, if there is one. */
function enclosingRun(path) {
  if (running === 0) return undefined
  let run = current()
  while (run !== undefined && !(run.path === path && holds(run))) run = run.outer
  return run
}

/** Returns the innermost run() around the present code that is under way. Those that have ended are taken out. */
function current() {
  const innermost = { outer: storage.getStore() }
  for (let run = innermost; run !== undefined; run = run.outer) {
    // Else those of a task that starts the next one without awaiting it, and so on, would pile up.
    while (run.outer?.active === false) run.outer = run.outer.outer
  }
  return innermost.outer
}

/** Does this run() still hold its lock? Its task may have released it. */
const holds = (run) => run.active && run.lock.held

/** Warns if a wait inside `run`, for the lock that it holds, lasts long. Returns a function that says the wait is over. */
function watch(run) {
  const timer = setTimeout(() => {
    if (holds(run)) warn(run.path)
  }, PATIENCE)
  timer.unref?.()
  return () => clearTimeout(timer)
}

function warn(path) {
  if (warned.has(path)) return
  warned.add(path)
  process.emitWarning(
    `A wait for ${path} has lasted ${PATIENCE} ms inside run() of the same lock, which is held until its task has ended. ` +
      'If the task awaits it, it never ends: the lock is not re-entrant. Do the inner work without acquiring the lock again.',
    { type: 'LocketWarning', code: 'LOCKET_NESTED_RUN' },
  )
}

module.exports = { callTask, enclosingRun, holds, watch }
