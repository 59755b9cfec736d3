'use strict'

const { heldBy, write } = require('./output.js')

/** How long a wait may go without a word, in milliseconds. */
const PATIENCE = 1000

/** Says on stderr, once, what the wait is for. Returns a function that ends it. */
function announceWait(lock, file) {
  let over = false
  const timer = setTimeout(async () => {
    // That nobody can say who it is, is no reason to end the wait.
    const holders = await lock.holders().catch(() => undefined)
    if (!over) write(2, `locket: waiting for ${file}${heldBy(holders)}\n`)
  }, PATIENCE)
  return () => {
    over = true
    clearTimeout(timer)
  }
}

module.exports = { announceWait }
