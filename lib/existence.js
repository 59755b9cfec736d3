'use strict'

// The locks by existence that this thread holds. Others can take them away while they are held, and they outlive a process
// that does not release them.

const native = require('./native.js')

/**
 * By the number of the native part of a handle: the number of its acquisition, and what to call when that is lost. It keeps
 * the handle from being collected: the garbage collector does not release its lock either.
 */
let held

/** Adds the lock that this handle has acquired. `lose` is called if it is lost. */
function addHold(handle, acquisition, lose) {
  if (held === undefined) {
    held = new Map()
    tellLosses()
    // Of an exit() or an uncaught exception, native code is not told.
    process.once('exit', releaseAll)
  }
  held.set(handle, { acquisition, lose })
}

async function tellLosses() {
  for (;;) {
    for (const handle of await native.nextLosses()) {
      const hold = held.get(handle)
      // What was lost may be an earlier acquisition of the same handle.
      if (hold === undefined || native.isHeld(handle)) continue
      held.delete(handle)
      hold.lose()
    }
  }
}

function releaseAll() {
  for (const handle of held.keys()) native.dispose(handle)
}

/** Removes the lock that this handle has released. `acquisition`: the number of what it has released, if that is known. */
function removeHold(handle, acquisition) {
  if (held === undefined || held.delete(handle)) return
  // It has released what another handle had acquired. Others, which are not held either, may be lost and not told yet.
  for (const [other, hold] of held) if (hold.acquisition === acquisition) held.delete(other)
}

module.exports = { addHold, removeHold }
