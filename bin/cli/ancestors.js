'use strict'

const fs = require('node:fs')

/** Returns the pids of the processes that this one descends from, the parent first. Without /proc the parent alone. */
function ancestors() {
  const pids = []
  for (let pid = process.ppid; pid > 0 && !pids.includes(pid); pid = parentOf(pid)) pids.push(pid)
  return pids
}

/** Returns the parent's pid, 0 if it is unknown. */
function parentOf(pid) {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))[1])
  } catch {
    return 0
  }
}

module.exports = { ancestors }
