'use strict'

// A thread of a storm: acquires permits in every way, again and again, and says from when to when it had them, as a line of JSON.
// The main thread starts as many workers as it is told, which do the same.
//
// Usage: node storm.js FILE PERMITS WORKERS LOOPS TURNS

const { Worker, isMainThread } = require('node:worker_threads')
const { setImmediate: nextTurn } = require('node:timers/promises')

const { semaphore } = require('../..')

const [file, ...numbers] = process.argv.slice(2)
const [permits, workers, loops, turns] = numbers.map(Number)
/** The times of all holds, by the clock that all processes share, in nanoseconds: when each began, and when it ended. */
const holds = []

async function hold() {
  const start = process.hrtime.bigint()
  await nextTurn()
  // Some longer than others, so that they overlap in every way.
  if (Math.random() < 0.2) await new Promise((resolve) => setTimeout(resolve, 1))
  holds.push([String(start), String(process.hrtime.bigint())])
}

async function holdAndRelease(permit) {
  await hold()
  permit.release()
}

const WAYS = [
  async (it) => holdAndRelease(await it.acquire()),
  async (it) => holdAndRelease(await it.acquire({ timeout: 100_000 })),
  (it) => it.run(hold),
  async (it) => {
    const permit = await it.tryAcquire()
    if (permit !== undefined) await holdAndRelease(permit)
  },
  async (it) => {
    const signal = AbortSignal.timeout(Math.floor(Math.random() * 4))
    try {
      await holdAndRelease(await it.acquire({ signal }))
    } catch (error) {
      if (error.code !== 'ABORT_ERR') throw error
    }
  },
]

async function loop() {
  for (let turn = 0; turn < turns; turn++) {
    await WAYS[Math.floor(Math.random() * WAYS.length)](semaphore(file, permits))
  }
}

async function main() {
  if (isMainThread) {
    for (let i = 0; i < workers; i++) new Worker(__filename, { argv: process.argv.slice(2) })
  }
  await Promise.all(Array.from({ length: loops }, loop))
  console.log(JSON.stringify(holds))
}

main()
