'use strict'

const { heldBy, write } = require('./output.js')

/** The duration of a wait before the message, in milliseconds. */
const PATIENCE = 1000

/** Says on stderr, once, what a long wait is for. Returns a function to call when the wait ends. */
function announceWait(lock, file) {
  let over = false
  const timer = setTimeout(async () => {
    // An error of this question does not end the wait.
    const holders = await lock.holders().catch(() => undefined)
    if (!over) write(2, `locket: waiting for ${file}${heldBy(holders)}\n`)
  }, PATIENCE)
  return () => {
    over = true
    clearTimeout(timer)
  }
}

module.exports = { announceWait }
