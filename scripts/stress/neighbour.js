'use strict'

// A process of a storm that acquires the locks by another npm package. It writes the log that journal.js describes, and
// counts in the files that files.js names. neighbour.py does the same with other programs.
//
// Usage: node neighbour.js proper-lockfile|lockfile PLAN

const { promisify } = require('node:util')

const { sleep } = require('./attempt.js')
const { Counter, lockOf } = require('./files.js')
const { Journal } = require('./journal.js')
const { randomOf } = require('./random.js')

/** The longest timeout, the longest hold and the longest pause between two attempts, in milliseconds. */
const LONGEST = 40
const HOLD = 1
const PAUSE = 5

/** How long is waited between two tries, in milliseconds. */
const POLL = 2

/** Each takes a lock, or is refused with this code, and resolves to what frees it. */
const PROGRAMS = {
  'proper-lockfile': { refusal: 'ELOCKED', take: (file, options) => require('proper-lockfile').lock(file, options) },
  lockfile: {
    refusal: 'EEXIST',
    async take(file, options) {
      const { lock, unlock } = require('lockfile')
      // It writes into its options.
      await promisify(lock)(file, { ...options })
      return () => promisify(unlock)(file)
    },
  },
}

/** Resolves to what frees the lock, or to nothing if it is not free in time. */
async function acquire({ take, refusal }, file, options, timeout) {
  const end = performance.now() + timeout
  for (;;) {
    try {
      return await take(file, options)
    } catch (error) {
      if (error.code !== refusal) throw error
      if (performance.now() >= end) return undefined
    }
    await sleep(POLL)
  }
}

async function main(name, plan) {
  const { folder, files, options } = plan
  const journal = new Journal(folder, { process: plan.process, program: name }, BigInt(plan.start))
  const random = randomOf(plan.seed, plan.process, 'neighbour')
  const counters = Array.from({ length: files }, (_, file) => new Counter(folder, file))

  let over = false
  process.on('SIGTERM', () => {
    over = true
  })
  process.on('SIGINT', () => {})

  for (let attempt = 0; !over && journal.now() < plan.end; attempt++) {
    const file = random.below(files)
    const timeout = random.chance(0.3) ? undefined : random.below(LONGEST + 1)
    journal.write('requested', { attempt, file, mode: 'exclusive', timeout })
    const free = await acquire(PROGRAMS[name], lockOf(folder, file), options, timeout ?? Infinity)
    if (free) {
      const time = journal.now()
      const value = counters[file].read() + 1
      journal.write('held', { attempt, value }, time)
      if (random.chance(0.2)) await sleep(random.next() * HOLD)
      counters[file].write(value)
      journal.write('releasing', { attempt })
      await free()
    } else {
      journal.write('rejected', { attempt, reason: 'timeout' })
    }
    if (random.chance(0.3)) await sleep(random.next() * PAUSE)
  }
  journal.write('closed')
}

main(process.argv[2], JSON.parse(process.argv[3]))
