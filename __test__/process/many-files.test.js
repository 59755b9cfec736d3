'use strict'

// A process that waits for more files than it has threads to wait in.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { lockFile, query } = require('../..')
const { temporaryPaths } = require('../support/folders.js')
const { holderOfAll } = require('../support/processes.js')
const { eventually, until } = require('../support/waiting.js')

const COUNT = 1000

/** The part of a processor that this process uses in the next second. */
async function usage() {
  const before = { cpu: process.cpuUsage(), time: performance.now() }
  await sleep(1000)
  const { user, system } = process.cpuUsage(before.cpu)
  return (user + system) / 1000 / (performance.now() - before.time)
}

test(`${COUNT} waits for as many files cost next to nothing, end when told to, and are all served`, async (t) => {
  const files = temporaryPaths(t, ...Array.from({ length: COUNT }, (_, number) => `${number}.lock`))
  const holder = await holderOfAll(t, files)
  const controller = new AbortController()
  const [aborted, served] = [files.slice(-COUNT / 10), files.slice(0, -COUNT / 10)].map((part, index) =>
    part.map(async (file) => {
      const lock = await lockFile(file).acquire(index === 0 ? { signal: controller.signal } : {})
      lock.release()
    }),
  )
  await until(() => query().pending.length === COUNT, 'all waits')
  // Less with every second, until the pauses between two tries are long. All that try every 16 ms take half a processor.
  await until(async () => (await usage()) < 0.25, 'waits that cost little')

  controller.abort()
  const outcomes = await eventually(Promise.allSettled(aborted), 'the end of the aborted waits')
  assert.ok(outcomes.every(({ reason }) => reason?.name === 'AbortError'))

  await holder.kill()
  await eventually(Promise.all(served), 'the locks of all files')
  assert.equal(query().pending.length, 0)
})
