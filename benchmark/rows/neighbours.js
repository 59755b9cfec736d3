'use strict'

const crypto = require('node:crypto')
const dns = require('node:dns')
const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { promisify } = require('node:util')

const { withAgents } = require('./support/agents.js')
const { now, quantile, MILLISECOND } = require('./support/clock.js')

const WAITS = 100

/** How long the waits are given to get under way, in milliseconds. */
const SETTLE = 100

const WARM_UP = 20

const pbkdf2 = promisify(crypto.pbkdf2)
const lookup = promisify(dns.lookup)
const readFile = promisify(fs.readFile)

/** Three calls that need a thread of libuv's pool. */
const NEIGHBOURS = {
  readFile: () => readFile(__filename),
  lookup: () => lookup('localhost'),
  pbkdf2: () => pbkdf2('password', 'salt', 1000, 32, 'sha256'),
}

module.exports = {
  id: 'neighbours',
  title: 'What waits do to the rest of the process',
  detail:
    'fs.readFile, dns.lookup and crypto.pbkdf2, one call after the other: the median time of each, without any ' +
    'waits and with 100 waits of the same process pending, for a file that another process holds. What has not come ' +
    'back after 2 seconds (0.5 with --quick) counts as having taken that long.',
  measures: [
    { id: 'slowdown', title: 'worst slowdown', unit: '', better: 'lower' },
    { id: 'readFileWaiting', title: 'fs.readFile, 100 waits', unit: 'ms', better: 'lower' },
    { id: 'lookupWaiting', title: 'dns.lookup, 100 waits', unit: 'ms', better: 'lower' },
    { id: 'pbkdf2Waiting', title: 'crypto.pbkdf2, 100 waits', unit: 'ms', better: 'lower' },
    { id: 'readFile', title: 'fs.readFile', unit: 'ms', better: 'none' },
    { id: 'lookup', title: 'dns.lookup', unit: 'ms', better: 'none' },
    { id: 'pbkdf2', title: 'crypto.pbkdf2', unit: 'ms', better: 'none' },
  ],
  kinds: ['kernel', 'file'],
  rounds: 3,
  // `patience`: a call that takes longer counts as having taken this long, in milliseconds.
  full: { calls: 300, patience: 2000 },
  quick: { calls: 60, patience: 500 },
  trial(contestant, { folder, calls, patience }) {
    const file = path.join(folder, 'lock')
    return withAgents(contestant, 1, [file], async ([holder]) => {
      await holder.ask('acquire')
      await latencies(WARM_UP, patience)
      const alone = await latencies(calls, patience)
      // They are not over before the trial is.
      let served = 0
      for (let wait = 0; wait < WAITS; wait++) {
        const handle = contestant.open(file)
        handle.acquire().then(() => served++)
      }
      await sleep(SETTLE)
      const waiting = await latencies(calls, patience)
      if (served > 0) throw new Error(`let in ${served} of ${WAITS} waiters while the lock was held`)
      return compare(alone, waiting)
    })
  },
}

function compare(alone, waiting) {
  const names = Object.keys(NEIGHBOURS)
  return {
    slowdown: Math.max(...names.map((name) => waiting[name] / alone[name])),
    ...alone,
    ...Object.fromEntries(names.map((name) => [`${name}Waiting`, waiting[name]])),
  }
}

/** The median time of each of the neighbours, in milliseconds. */
async function latencies(calls, patience) {
  const medians = {}
  for (const [name, call] of Object.entries(NEIGHBOURS)) medians[name] = await latency(call, calls, patience)
  return medians
}

/** The median time of that many calls; or, if one takes longer than `patience`, the time until it was given up. */
async function latency(call, calls, patience) {
  const times = []
  for (let count = 0; count < calls; count++) {
    const start = now()
    const late = await isLate(call(), patience)
    const time = (now() - start) / MILLISECOND
    if (late) return time
    times.push(time)
  }
  return quantile(times, 0.5)
}

/** Resolves to false when `promise` has, or after that many milliseconds to true. */
function isLate(promise, ms) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, true)
    promise.then(() => {
      clearTimeout(timer)
      resolve(false)
    }, reject)
  })
}
