'use strict'

// Loads what its argument names, in a process that has loaded nothing else, and writes what that took and changed.

const fs = require('node:fs')

const entry = process.argv[2]

const threads = () => fs.readdirSync('/proc/self/task').length
const listeners = () => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)

/** The addons that are mapped into this process. */
function addons() {
  const files = fs.readFileSync('/proc/self/maps', 'utf8').match(/\/.*\.node$/gm)
  return [...new Set(files)]
}

const before = { threads: threads(), listeners: listeners() }
const start = performance.now()
require(entry)
const time = performance.now() - start

const result = {
  time,
  threads: threads() - before.threads,
  listeners: listeners() - before.listeners,
  addons: addons(),
}
fs.writeSync(1, JSON.stringify(result))
