'use strict'

// examples/compilers.js

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { temporaryFolder } = require('../../support/folders.js')
const { GOOD_END } = require('../../support/processes.js')
const { LINUX } = require('../../support/systems.js')
const { staysPending, until } = require('../../support/waiting.js')
const { environment, start } = require('./example.js')

const LIMIT = 2

/** A command that says that it runs, and ends with its input. Its exit code is 7. */
const COMPILER = ['-e', "console.log('compiles'); process.stdin.on('end', () => process.exit(7)).resume()"]

const compile = (t, folder, limit = LIMIT) =>
  start(t, 'compilers.js', folder, [process.execPath, ...COMPILER], {
    env: environment(folder, { COMPILERS: String(limit) }),
  })

/** So many that run. */
async function compileAtOnce(t, folder, count) {
  const compilers = Array.from({ length: count }, () => compile(t, folder))
  for (const each of compilers) assert.equal(await each.line(), 'compiles')
  return compilers
}

/** One that waits, since all permits are held by the `others`. */
async function waitingCompiler(t, folder, others) {
  const waiting = compile(t, folder)
  await until(() => waiting.stderr.includes('\n'), 'the message of a wait')
  const [, pids] = /^Waiting: 2 run already(?:, by (.*))?\n$/.exec(waiting.stderr) ?? assert.fail(waiting.stderr)
  if (LINUX) assert.deepEqual(pids.split(', ').map(Number).sort(), others.map(({ pid }) => pid).sort())
  const runs = waiting.line()
  runs.catch(() => {})
  assert.ok(await staysPending(runs, 200))
  return { waiting, runs }
}

test('as many compilers run as the limit says, and the next one when one has ended, with its exit code', async (t) => {
  const folder = temporaryFolder(t)
  const running = await compileAtOnce(t, folder, LIMIT)
  const { waiting, runs } = await waitingCompiler(t, folder, running)
  running[0].end()
  assert.deepEqual(await running[0].ended(), { ...GOOD_END, code: 7 })
  assert.equal(await runs, 'compiles')
  for (const each of [running[1], waiting]) {
    each.end()
    assert.equal((await each.ended()).code, 7)
  }
  // All that it makes is in the folder for temporary files.
  for (const name of fs.readdirSync(folder)) assert.match(name, /^compilers\.slots(\.\d)?$/)
})

test('when one is killed, the next one runs', async (t) => {
  const folder = temporaryFolder(t)
  const running = await compileAtOnce(t, folder, LIMIT)
  const { runs } = await waitingCompiler(t, folder, running)
  process.kill(running[1].pid, 'SIGKILL')
  assert.equal(await runs, 'compiles')
})

test('another limit is an error while compilers run, and counts when none does', async (t) => {
  const folder = temporaryFolder(t)
  const [running] = await compileAtOnce(t, folder, 1)
  const { code, stderr } = await compile(t, folder, 3).ended()
  assert.equal(code, 1)
  assert.match(stderr, /ERR_LOCK_PERMITS/)
  running.end()
  await running.ended()
  const other = compile(t, folder, 3)
  assert.equal(await other.line(), 'compiles')
  assert.equal(fs.readFileSync(path.join(folder, 'compilers.slots'), 'utf8'), '3 permits\n')
})
