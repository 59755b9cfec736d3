'use strict'

// The locks by existence that this thread holds. Others can take them away while they are held, and they outlive a process
// that does not release them.

const native = require('./native.js')

/**
 * What to call when the lock of a handle is lost, by the number of its native part. It keeps the handle from being collected:
 * the garbage collector does not release its lock either.
 */
let held

/** Adds the lock that this handle has acquired. `lose` is called if it is lost. */
function addHold(handle, lose) {
  if (held === undefined) {
    held = new Map()
    tellLosses()
    // Of an exit() or an uncaught exception, native code is not told.
    process.once('exit', releaseAll)
  }
  held.set(handle, lose)
}

async function tellLosses() {
  for (;;) {
    for (const handle of await native.nextLosses()) {
      const lose = held.get(handle)
      // What was lost may be an earlier acquisition of the same handle.
      if (lose === undefined || native.isHeld(handle)) continue
      held.delete(handle)
      lose()
    }
  }
}

function releaseAll() {
  for (const handle of held.keys()) native.dispose(handle)
}

/** Removes the lock that this handle has released. */
function removeHold(handle) {
  if (held === undefined || held.delete(handle)) return
  // It has released what another handle had acquired.
  for (const other of held.keys()) if (!native.isHeld(other)) held.delete(other)
}

module.exports = { addHold, removeHold }
