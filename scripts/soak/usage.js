'use strict'

// What a process uses (Linux): memory, descriptors, threads, processor time, and how often its threads are woken.

const fs = require('node:fs')

const tasksOf = (pid) => `/proc/${pid}/task`

/** What each thread of a process has done: its name, its processor time in ns, how often it has gone to sleep by itself. */
function threads(pid) {
  const found = new Map()
  for (const task of fs.readdirSync(tasksOf(pid))) {
    try {
      const read = (name) => fs.readFileSync(`${tasksOf(pid)}/${task}/${name}`, 'utf8')
      const sleeps = Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(read('status'))[1])
      found.set(task, { name: read('comm').trim(), ns: Number(read('schedstat').split(' ')[0]), sleeps })
    } catch {
      // It has just ended.
    }
  }
  return found
}

/** Memory in bytes, without garbage, and descriptors. */
function usage() {
  globalThis.gc()
  return { rss: process.memoryUsage.rss(), descriptors: fs.readdirSync('/proc/self/fd').length }
}

/**
 * What the threads of a process do in `ms` in which nobody asks anything of it: how many there are in the end, their
 * processor time in ms, and how often they are woken. `ours`: those of the package alone.
 */
async function idle(ms, pid = 'self') {
  const before = threads(pid)
  await new Promise((resolve) => setTimeout(resolve, ms))
  const done = [...threads(pid)].map(([task, { name, ns, sleeps }]) => {
    const old = before.get(task) ?? { ns: 0, sleeps: 0 }
    return { name, cpu: (ns - old.ns) / 1e6, wakes: sleeps - old.sleeps }
  })
  const sum = (of) => ({
    threads: of.length,
    cpu: of.reduce((all, { cpu }) => all + cpu, 0),
    wakes: of.reduce((all, { wakes }) => all + wakes, 0),
  })
  return { ...sum(done), ours: sum(done.filter(({ name }) => name.startsWith('locket-'))) }
}

module.exports = { idle, usage }
