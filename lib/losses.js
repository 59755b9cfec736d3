'use strict'

// Tells of locks that are lost while they are held: others can remove the entry of a lock by existence.

const native = require('./native.js')

/**
 * What to call for each handle that holds a lock, by the number of its native part. It keeps the handle from being collected,
 * as the garbage collector does not release its lock either.
 */
let watched

/** Calls `lose` if the lock that this handle has acquired is lost. */
function watchLoss(handle, lose) {
  if (watched === undefined) {
    watched = new Map()
    tellLosses()
  }
  watched.set(handle, lose)
}

async function tellLosses() {
  for (;;) {
    for (const handle of await native.nextLosses()) {
      const lose = watched.get(handle)
      // What was lost may be an earlier acquisition of the same handle.
      if (lose === undefined || native.isHeld(handle)) continue
      watched.delete(handle)
      lose()
    }
  }
}

/** Takes watchLoss() back when this handle has released a lock. */
function forgetLoss(handle) {
  if (watched === undefined || watched.delete(handle)) return
  // It has released what another handle had acquired.
  for (const other of watched.keys()) if (!native.isHeld(other)) watched.delete(other)
}

module.exports = { forgetLoss, watchLoss }
