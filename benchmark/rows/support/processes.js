'use strict'

// What a process and its threads cost, from Linux's /proc.

const fs = require('node:fs')

const read = (name) => fs.readFileSync(`/proc/${name}`, 'utf8')

/** The number after a word in a `status` file. */
const field = (status, word) => Number(new RegExp(`^${word}:\\s*(\\d+)`, 'm').exec(status)[1])

/** The number of threads of a process, and how much of its memory is resident, in MB. */
function footprint(pid = 'self') {
  const status = read(`${pid}/status`)
  return { threads: field(status, 'Threads'), memory: (field(status, 'VmRSS') * 1024) / 1e6 }
}

/** By how much one footprint is more than another. */
const growth = (before, after) => ({ threads: after.threads - before.threads, memory: after.memory - before.memory })

/**
 * What each thread of a process has used until now: processor time in nanoseconds, and context switches. `schedstat`
 * counts nanoseconds, where the `stat` that top reads counts ticks of 10 ms.
 */
function usage(pid) {
  const threads = fs.readdirSync(`/proc/${pid}/task`).map((thread) => {
    const [cpu] = read(`${pid}/task/${thread}/schedstat`).split(' ')
    const status = read(`${pid}/task/${thread}/status`)
    const switches = field(status, 'voluntary_ctxt_switches') + field(status, 'nonvoluntary_ctxt_switches')
    return [thread, { cpu: Number(cpu), switches }]
  })
  return new Map(threads)
}

/** What was used between two calls of usage(), by the threads that are there at the second. */
function used(before, after) {
  const sum = (what) =>
    [...after].reduce((total, [thread, now]) => total + now[what] - (before.get(thread)?.[what] ?? 0), 0)
  return { cpu: sum('cpu'), switches: sum('switches') }
}

module.exports = { footprint, growth, usage, used }
