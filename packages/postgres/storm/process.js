'use strict'

// A process of the storm: some tasks that want a few locks, by every method. What it gets stands in its log, a JSON line for
// each event. It ends when it is told to.
//
// Usage: node process.js { log, connection, names, seed, tasks, sabotage }

const fs = require('node:fs')

const { randomOf } = require('../../../scripts/stress/random.js')
const { postgresLock } = require('..')

const { log, connection, names, seed, tasks, sabotage } = JSON.parse(process.argv[2])
const file = fs.openSync(log, 'a')
const write = (event) => fs.writeSync(file, `${JSON.stringify(event)}\n`)
const now = () => Number(process.hrtime.bigint())

/** How long a lock is held, mostly and now and then, and waited for, in milliseconds. */
const HOLD = 10
const LONG_HOLD = 5000
const LONGEST_WAIT = 500

let isOver = false
let holds = 0

/** Says that it has the lock, without asking for it. */
const broken = { acquire: async () => {}, release: async () => {}, lost: new AbortController().signal, token: 1n }

async function hold(lock, { name, mode, random }) {
  const id = ++holds
  write({ id, name, mode, token: String(lock.token), entered: now() })
  const { lost } = lock
  const onLost = () => write({ id, left: now(), lost: true })
  lost.addEventListener('abort', onLost, { once: true })
  await new Promise((resolve) => setTimeout(resolve, random.next() * (random.chance(0.01) ? LONG_HOLD : HOLD)))
  lost.removeEventListener('abort', onLost)
  if (!lost.aborted) write({ id, left: now() })
}

async function attempt(random) {
  const name = random.pick(names)
  const mode = random.chance(0.3) ? 'shared' : 'exclusive'
  const timeout = random.chance(0.5) ? LONGEST_WAIT * random.next() : 10_000
  const signal = random.chance(0.3) ? AbortSignal.timeout(Math.ceil(random.next() * LONGEST_WAIT)) : undefined
  const lock = sabotage && random.chance(0.05) ? broken : postgresLock(name, { connection, mode, maxSessions: 3 })
  const way = lock === broken ? 'acquire' : random.pick(['acquire', 'run', 'tryAcquire'])
  if (way === 'run') return lock.run(() => hold(lock, { name, mode, random }), { timeout, signal })
  if (way === 'tryAcquire') {
    if (!(await lock.tryAcquire())) return undefined
  } else {
    await lock.acquire({ timeout, signal })
  }
  await hold(lock, { name, mode, random })
  await lock.release()
}

/** Failures that a storm brings with it. A server that is out of reach has many. */
const EXPECTED = ['ERR_LOCK_TIMEOUT', 'ABORT_ERR', 'ERR_LOCK_LOST']
const isOfNetwork = ({ code, message }) =>
  /^E[A-Z]+$/.test(code ?? '') || /connection|timeout expired|not answered/i.test(message)

async function task(number) {
  const random = randomOf(seed, process.pid, number)
  while (!isOver) {
    try {
      await attempt(random)
    } catch (error) {
      const isExpected = EXPECTED.includes(error.code) || isOfNetwork(error)
      write(isExpected ? { rejected: error.code ?? 'network' } : { failed: error.stack })
      if (isOfNetwork(error)) await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

process.on('message', () => {
  isOver = true
})
process.channel.unref()
const all = Array.from({ length: tasks }, (_, number) => task(number))
Promise.all(all).then(() => {
  write({ ended: now() })
  process.exit()
})
