'use strict'

// examples/slow-waits.js

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { temporaryFolder, temporaryPath } = require('../../support/folders.js')
const { AGENT, agent, GOOD_END, holderOf, script } = require('../../support/processes.js')
const { LINUX } = require('../../support/systems.js')
const { until } = require('../../support/waiting.js')
const { environment, pathOf, start } = require('./example.js')

const EXAMPLE = ['--require', pathOf('slow-waits.js')]

/** Options of a process that logs waits of `long` milliseconds and more. */
const watched = (long = 50) => ({ execArgv: EXAMPLE, env: { ...process.env, SLOW_WAIT_MS: `${long}` } })

/** How the log names agents that hold the lock of `file`. */
const heldBy = (file, ...agents) =>
  LINUX ? `, held by ${agents.map(({ pid }) => `${pid} (${process.execPath} ${AGENT} ${file})`).join(', ')}` : ''

const logged = (example, part) => until(() => example.stderr.includes(part), `"${part}" in the log`)

/** An agent that waits for `file`, when it has logged that. */
async function slowWaiter(t, file, options = '') {
  const waiter = agent(t, file, undefined, watched())
  assert.equal(await waiter.ask(`acquire ${options}`), 'waiting')
  await logged(waiter, 'not acquired')
  return waiter
}

/** It ends well, and has logged of waits for `file` in this mode: what, with N in the place of how long a wait took. */
async function endsWithLog(waiter, file, ...what) {
  const { code, stderr } = await waiter.ended()
  assert.equal(code, 0)
  const expected = what.map((each) => `Slow wait: ${file} (exclusive) ${each}\n`).join('')
  assert.equal(stderr.replaceAll(/after \d+ ms/g, 'after N ms'), expected)
}

test('a wait that takes long is logged with who is in the way, and again when it ends', async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const waiter = await slowWaiter(t, file)
  await holder.kill('SIGKILL')
  assert.equal(await waiter.line(), 'acquired')
  waiter.end()
  await endsWithLog(waiter, file, `not acquired within 50 ms${heldBy(file, holder)}`, 'acquired after N ms')
})

test('a waiter that is killed has said by then for whom it waited', async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const { stderr } = await (await slowWaiter(t, file, '{"mode":"shared"}')).kill('SIGKILL')
  assert.equal(stderr, `Slow wait: ${file} (shared) not acquired within 50 ms${heldBy(file, holder)}\n`)
})

test('all holders of a shared lock are named', async (t) => {
  const file = temporaryPath(t)
  const holders = [await holderOf(t, file, { mode: 'shared' }), await holderOf(t, file, { mode: 'shared' })]
  const { stderr } = await (await slowWaiter(t, file)).kill()
  for (const { pid } of holders) assert.equal(stderr.includes(`${pid} (${process.execPath} ${AGENT} ${file})`), LINUX)
})

test('a wait that is given up is logged as such', async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const source = `
    const controller = new AbortController()
    lockFile(process.argv[1]).acquire({ signal: controller.signal }).catch((error) => console.log(error.code))
    process.stdin.once('end', () => controller.abort()).resume()`
  const waiter = script(t, source, [file], watched())
  await logged(waiter, 'not acquired')
  waiter.end()
  assert.equal(await waiter.line(), 'ABORT_ERR')
  await endsWithLog(waiter, file, `not acquired within 50 ms${heldBy(file, holder)}`, 'given up after N ms')
})

test('a wait of the sync forms, during which nothing can be said, is logged when it ends', async (t) => {
  const file = temporaryPath(t)
  await holderOf(t, file)
  const source = `
    try { lockFile(process.argv[1]).acquireSync({ timeout: 100 }) } catch (error) { console.log(error.code) }
    setTimeout(() => {}, 200)`
  const waiter = script(t, source, [file], watched())
  assert.deepEqual(await waiter.rest(), ['ERR_LOCK_TIMEOUT'])
  await endsWithLog(waiter, file, 'given up after N ms')
})

test('a wait for a lock that the process itself holds says so', async (t) => {
  const waiter = await holderOf(t, temporaryPath(t), {}, watched())
  assert.equal(await waiter.ask('acquire'), 'waiting')
  await logged(waiter, LINUX ? 'not acquired within 50 ms, held by this process (' : 'not acquired')
})

test('waits that do not take long are not logged', async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const waiter = agent(t, file, undefined, watched(1_000_000))
  assert.equal(await waiter.ask('try'), 'false')
  assert.equal(await waiter.ask('acquire'), 'waiting')
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await waiter.line(), 'acquired')
  waiter.end()
  assert.deepEqual(await waiter.ended(), GOOD_END)
})

test('it watches another example as its head comment says', async (t) => {
  const folder = temporaryFolder(t)
  const going = start(t, 'cron-job.js', folder, ['--takes', '100000'])
  assert.match(await going.line(), / Started$/)
  const options = { execArgv: EXAMPLE, env: environment(folder, { SLOW_WAIT_MS: '50' }) }
  const waiting = start(t, 'cron-job.js', folder, ['--wait', '60', '--takes', '0'], options)
  await logged(waiting, `Slow wait: ${path.join(folder, 'cron-job.lock')} (exclusive) not acquired within 50 ms`)
  await going.kill('SIGKILL')
  const lines = await waiting.rest()
  assert.deepEqual(
    lines.map((line) => line.split(' ')[1]),
    ['Started', 'Finished'],
  )
  const { code, stderr } = await waiting.ended()
  assert.equal(code, 0)
  assert.match(stderr, / acquired after \d+ ms\n$/)
})
