'use strict'

// `npm run demo`: what it shows, and that nothing is left of it, however it ends.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')

const { temporaryFolder } = require('../support/folders.js')
const { Talker } = require('../support/processes.js')
const { until } = require('../support/waiting.js')

const DEMO = path.join(__dirname, '../../scripts/demo.js')

/** Starts the demo. Its files are in `folder`. */
function start(t) {
  const folder = temporaryFolder(t)
  const env = { ...process.env, TMPDIR: folder, TEMP: folder, TMP: folder }
  return { demo: new Talker(t, process.execPath, [DEMO], { env }), folder }
}

/** Starts the demo, and waits until one of its processes holds the lock. */
async function demoInProgress(t) {
  const { demo, folder } = start(t)
  let holder
  do holder = / ([A-D]) \((\d+)\) holds the lock/.exec(await demo.line())
  while (!holder)
  return { demo, folder, name: holder[1], pid: Number(holder[2]) }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0)
    // A process that has ended keeps its pid until its parent asks for the exit code. Not every container's init does so.
    return process.platform !== 'linux' || !fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

test('the demo shows turns, a killed holder and a timeout that names the holder, and ends by itself', async (t) => {
  const { demo, folder } = start(t)
  const lines = await demo.rest()
  const { code, stderr } = await demo.exited
  assert.deepEqual([code, stderr], [0, ''], lines.join('\n'))

  const turns = lines.filter((line) => /[A-D] \(\d+\) holds the lock, \d+\.\d ms after .*; waiting: /.test(line))
  // The kernel decides how many turns the killed process has had.
  assert.match(
    lines.join('\n'),
    new RegExp(`^${turns.length} turns of 4 processes, and never two holders at once`, 'm'),
  )
  assert.ok(turns.length >= 10 && turns.length <= 12)
  const kill = lines.findIndex((line) => line.endsWith('is killed by SIGKILL while it holds the lock'))
  const killed = /([A-D]) \((\d+)\)/.exec(lines[kill])
  assert.match(lines[kill + 1], new RegExp(`holds the lock, \\d+\\.\\d ms after ${killed[1]} was killed`))
  const holder = process.platform === 'linux' ? `: held by ${killed[2]} ` : ''
  assert.match(lines[kill - 1], new RegExp(`gives up: Couldn't lock .* within 300 ms${holder}`))
  assert.deepEqual(fs.readdirSync(folder), [])
})

test('a process that ends by itself fails the demo, which says which one', async (t) => {
  const { demo, folder, name, pid } = await demoInProgress(t)
  process.kill(pid, 'SIGKILL')
  const { code, stderr } = await demo.exited
  assert.equal(code, 1)
  assert.equal(stderr, `The demo failed: ${name} (${pid}) ended with SIGKILL\n`)
  assert.deepEqual(fs.readdirSync(folder), [])
})

test('an interrupted demo leaves nothing behind', { skip: process.platform === 'win32' }, async (t) => {
  const { demo, folder, pid } = await demoInProgress(t)
  const { code, stderr } = await demo.kill('SIGINT')
  assert.equal(code, 130)
  assert.equal(stderr, 'The demo failed: interrupted by SIGINT\n')
  assert.equal(isRunning(pid), false)
  assert.deepEqual(fs.readdirSync(folder), [])
})

test('the processes of a killed demo end by themselves', async (t) => {
  const { demo, pid } = await demoInProgress(t)
  await demo.kill()
  await until(() => !isRunning(pid), 'the end of a process')
})
