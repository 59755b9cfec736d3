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
const watched = (long) => ({ execArgv: EXAMPLE, env: { ...process.env, SLOW_WAIT_MS: `${long}` } })

/** Starts an agent that holds the lock, and says how the log describes it. */
async function startHolder(t, file, options) {
  const holder = await holderOf(t, file, options)
  const command = [process.execPath, AGENT, file].join(' ')
  return { holder, description: `${holder.pid} (${command})` }
}

const heldBy = (...descriptions) => (LINUX ? `, held by ${descriptions.join(', ')}` : '')

/** What a process has logged, line by line, with N in the place of how long a wait took. */
const logOf = (stderr) =>
  stderr
    .replaceAll(/after \d+ ms/g, 'after N ms')
    .split('\n')
    .slice(0, -1)

const logged = (example, part) => until(() => example.stderr.includes(part), `"${part}" in the log`)

test('a wait that takes long is logged with who is in the way, and again when it ends', async (t) => {
  const file = temporaryPath(t)
  const { holder, description } = await startHolder(t, file)
  const waiter = agent(t, file, watched(50))
  assert.equal(await waiter.ask('acquire'), 'waiting')
  await logged(waiter, 'not acquired')
  await holder.kill('SIGKILL')
  assert.equal(await waiter.line(), 'acquired')
  waiter.end()
  const { code, stderr } = await waiter.ended()
  assert.equal(code, 0)
  assert.deepEqual(logOf(stderr), [
    `Slow wait: ${file} (exclusive) not acquired within 50 ms${heldBy(description)}`,
    `Slow wait: ${file} (exclusive) acquired after N ms`,
  ])
})

test('a waiter that is killed has said by then for whom it waited', async (t) => {
  const file = temporaryPath(t)
  const { description } = await startHolder(t, file)
  const waiter = agent(t, file, watched(50))
  assert.equal(await waiter.ask('acquire {"mode":"shared"}'), 'waiting')
  await logged(waiter, 'not acquired')
  const { stderr } = await waiter.kill('SIGKILL')
  assert.equal(stderr, `Slow wait: ${file} (shared) not acquired within 50 ms${heldBy(description)}\n`)
})

test('all holders of a shared lock are named', async (t) => {
  const file = temporaryPath(t)
  const holders = [await startHolder(t, file, { mode: 'shared' }), await startHolder(t, file, { mode: 'shared' })]
  const waiter = agent(t, file, watched(50))
  assert.equal(await waiter.ask('acquire'), 'waiting')
  await logged(waiter, 'not acquired')
  const { stderr } = await waiter.kill()
  for (const { description } of holders) assert.equal(stderr.includes(description), LINUX)
})

test('a wait that is given up is logged as such', async (t) => {
  const file = temporaryPath(t)
  const { description } = await startHolder(t, file)
  const source = `
    const abortion = new AbortController()
    lockFile(process.argv[1]).acquire({ signal: abortion.signal }).catch((error) => console.log(error.code))
    process.stdin.once('end', () => abortion.abort()).resume()`
  const waiter = script(t, source, [file], watched(50))
  await logged(waiter, 'not acquired')
  waiter.end()
  assert.equal(await waiter.line(), 'ABORT_ERR')
  const { code, stderr } = await waiter.ended()
  assert.equal(code, 0)
  assert.deepEqual(logOf(stderr), [
    `Slow wait: ${file} (exclusive) not acquired within 50 ms${heldBy(description)}`,
    `Slow wait: ${file} (exclusive) given up after N ms`,
  ])
})

test('a wait of the sync forms, during which nothing can be said, is logged when it ends', async (t) => {
  const file = temporaryPath(t)
  await startHolder(t, file)
  const source = `
    try { lockFile(process.argv[1]).acquireSync({ timeout: 100 }) } catch (error) { console.log(error.code) }
    setTimeout(() => {}, 200)`
  const waiter = script(t, source, [file], watched(50))
  assert.deepEqual(await waiter.rest(), ['ERR_LOCK_TIMEOUT'])
  const { code, stderr } = await waiter.ended()
  assert.equal(code, 0)
  assert.deepEqual(logOf(stderr), [`Slow wait: ${file} (exclusive) given up after N ms`])
})

test('a wait for a lock that the process itself holds says so', async (t) => {
  const file = temporaryPath(t)
  const waiter = await holderOf(t, file, {}, watched(50))
  assert.equal(await waiter.ask('acquire'), 'waiting')
  await logged(waiter, LINUX ? 'not acquired within 50 ms, held by this process (' : 'not acquired')
})

test('waits that do not take long are not logged', async (t) => {
  const file = temporaryPath(t)
  const { holder } = await startHolder(t, file)
  const waiter = agent(t, file, watched(1_000_000))
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
  const waiting = start(t, 'cron-job.js', folder, ['--wait', '60', '--takes', '0'], {
    execArgv: EXAMPLE,
    env: environment(folder, { SLOW_WAIT_MS: '50' }),
  })
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
