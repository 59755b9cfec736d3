'use strict'

// The locks by existence that this thread holds. Others can take them away while they are held, and they outlive a process
// that does not release them. Loaded when the first one is acquired.

/**
 * By the number of the native part of a handle: the number of its acquisition, and what to call when that is lost. It keeps
 * the handle from being collected: the garbage collector does not release its lock either.
 */
const held = new Map()

let native

/** Begins to watch over the locks that are held by the handles of this native part. */
function watchOver(part) {
  native = part
  tellLosses()
  // Elsewhere the native part removes what is left, after all listeners: they may release locks themselves.
  if (process.platform === 'win32') process.once('exit', releaseAll)
  return { addHold, removeHold }
}

/** Adds the lock that this handle has acquired. `lose` is called if it is lost. */
function addHold(handle, acquisition, lose) {
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
  if (held.delete(handle)) return
  // It has released what another handle had acquired. Others, which are not held either, may be lost and not told yet.
  for (const [other, hold] of held) if (hold.acquisition === acquisition) held.delete(other)
}

module.exports = { watchOver }
