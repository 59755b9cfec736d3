'use strict'

// What this process uses (Linux): memory, descriptors, threads, processor time, and how often its threads were woken.

const fs = require('node:fs')

const TASKS = '/proc/self/task'

const entries = (folder) => fs.readdirSync(folder).length

/** How often each thread of this process has gone to sleep by itself, and so has been woken, by its number. */
function sleeps() {
  const found = new Map()
  for (const task of fs.readdirSync(TASKS)) {
    try {
      const status = fs.readFileSync(`${TASKS}/${task}/status`, 'utf8')
      found.set(task, Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)[1]))
    } catch {
      // It has just ended.
    }
  }
  return found
}

/** Memory in bytes; `gc`: once the garbage is gone, as far as it can be told. */
function usage({ gc = true } = {}) {
  if (gc) globalThis.gc?.()
  return { rss: process.memoryUsage.rss(), descriptors: entries('/proc/self/fd'), threads: entries(TASKS) }
}

/** What this process does in `ms` in which nobody asks anything of it: processor time in ms, and how often it wakes. */
async function idle(ms) {
  const [cpu, before] = [process.cpuUsage(), sleeps()]
  await new Promise((resolve) => setTimeout(resolve, ms))
  const { user, system } = process.cpuUsage(cpu)
  const after = sleeps()
  const wakes = [...after].reduce((sum, [task, count]) => sum + count - (before.get(task) ?? 0), 0)
  return { cpu: (user + system) / 1000, wakes }
}

module.exports = { idle, usage }
