'use strict'

// examples/worker-turns.js

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { temporaryFolder } = require('../../support/folders.js')
const { GOOD_END } = require('../../support/processes.js')
const { until } = require('../../support/waiting.js')
const { start } = require('./example.js')

const TURNS = 100

const run = (t, folder) => start(t, 'worker-turns.js', folder)

/** What the file counts; nothing if it is not there yet. */
function counts(folder) {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, 'worker-turns.json'), 'utf8'))
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return { total: 0, threads: {} }
  }
}

const sum = ({ threads }) => Object.values(threads).reduce((a, b) => a + b, 0)

test('threads that take turns on one file lose no update', async (t) => {
  const folder = temporaryFolder(t)
  const example = run(t, folder)
  assert.deepEqual(await example.rest(), [`4 threads took 25 turns each. The file counts ${TURNS}.`])
  assert.deepEqual(await example.ended(), GOOD_END)
  const { total, threads } = counts(folder)
  assert.equal(total, TURNS)
  assert.deepEqual(Object.values(threads), [25, 25, 25, 25])
})

test('the threads of two processes lose none either', async (t) => {
  const folder = temporaryFolder(t)
  const examples = [run(t, folder), run(t, folder)]
  for (const example of examples) assert.deepEqual(await example.ended(), GOOD_END)
  assert.equal(counts(folder).total, 2 * TURNS)
  assert.equal(sum(counts(folder)), 2 * TURNS)
})

test('a process that is killed in between leaves the file whole, and the lock to the others', async (t) => {
  const folder = temporaryFolder(t)
  const killed = run(t, folder)
  const other = run(t, folder)
  await until(() => counts(folder).total > 0, 'the first turn')
  await killed.kill('SIGKILL')
  assert.deepEqual(await other.ended(), GOOD_END)
  const before = counts(folder)
  assert.equal(sum(before), before.total)
  assert.ok(before.total >= TURNS, `${before.total} turns`)

  assert.deepEqual(await run(t, folder).ended(), GOOD_END)
  assert.equal(counts(folder).total, before.total + TURNS)
})
