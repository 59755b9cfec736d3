'use strict'

// What a process and its threads cost, from Linux's /proc. Elsewhere all of this is null.

const fs = require('node:fs')

const HAS_PROC = fs.existsSync('/proc/self/task')

const read = (name) => fs.readFileSync(`/proc/${name}`, 'utf8')

/** The number after a word in a `status` file. */
const field = (status, word) => Number(new RegExp(`^${word}:\\s*(\\d+)`, 'm').exec(status)[1])

/** How many threads a process has, and how much of its memory is resident, in MB. */
function footprint(pid = 'self') {
  if (!HAS_PROC) return { threads: null, memory: null }
  const status = read(`${pid}/status`)
  return { threads: field(status, 'Threads'), memory: (field(status, 'VmRSS') * 1024) / 1e6 }
}

/** By how much `after` is more than `before`, both being footprints. */
function growth(before, after) {
  if (!HAS_PROC) return after
  return { threads: after.threads - before.threads, memory: after.memory - before.memory }
}

/**
 * What each thread of a process has used until now: processor time in nanoseconds and context switches. `schedstat`
 * counts nanoseconds, where the `stat` that top reads counts ticks of 10 ms.
 */
function usage(pid) {
  if (!HAS_PROC) return null
  const threads = new Map()
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    const [cpu] = read(`${pid}/task/${thread}/schedstat`).split(' ')
    const status = read(`${pid}/task/${thread}/status`)
    const switches = field(status, 'voluntary_ctxt_switches') + field(status, 'nonvoluntary_ctxt_switches')
    threads.set(thread, { cpu: Number(cpu), switches })
  }
  return threads
}

/** What was used between two looks, by the threads that are there at the second. */
function used(before, after) {
  if (!HAS_PROC) return { cpu: null, switches: null }
  let cpu = 0
  let switches = 0
  for (const [thread, now] of after) {
    const then = before.get(thread) ?? { cpu: 0, switches: 0 }
    cpu += now.cpu - then.cpu
    switches += now.switches - then.switches
  }
  return { cpu, switches }
}

module.exports = { footprint, growth, usage, used }
