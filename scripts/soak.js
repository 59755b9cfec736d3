'use strict'

// `npm run soak [-- --seconds=300 --waiters=10000 --acquires=100000 --delay=5]`: does anything pile up, or cost anything?
//
// 1. A leak check: many acquires of all kinds, one after the other.
// 2. Many waits are pending on one file, and others come and go, for the seconds.
// 3. Nothing changes: the waits cost no processor time.
// 4. All are served.
//
// Memory, descriptors and threads have to stay as they are, and the event loop may not be held up: 99 of 100 of its
// delays stay below `--delay` milliseconds. Exit code 1 if not. The charts are in target/soak. Linux only.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const { monitorEventLoopDelay } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')

const { prepare, root } = require('./prepare.js')

const CHARTS = path.join(root, 'target/soak')
/** How much more memory is still the same, in bytes: the heaps of V8 and of the C library grow and shrink by as much. */
const SLACK = 8_000_000
/** How long it takes until threads without work have ended, and V8 has done with the garbage, in ms. */
const CALM = 15_000
/** Nothing changes for so long, in ms. */
const QUIET = 10_000
/** What processor time is none, of that, in ms: V8 and Node have timers of their own. */
const NO_TIME = 20
/** How long it takes after a sample until all is as before, in ms. */
const SETTLE = 100
/** Those who come and go. */
const VISITORS = 50

function parseArguments() {
  const options = Object.fromEntries(
    Object.entries({ seconds: 300, waiters: 10_000, acquires: 100_000, delay: 5 }).map(([name, value]) => [
      name,
      { type: 'string', default: String(value) },
    ]),
  )
  const { values } = parseArgs({ options })
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]))
}

/** Another process that holds the lock of `file` until it is told to release it. */
async function holderOf(file) {
  const source = `const { lockFile } = require(${JSON.stringify(root)})
    const lock = lockFile(process.argv[1])
    lock.acquireSync()
    console.log('held')
    process.stdin.once('data', () => process.exit())`
  const holder = spawn(process.execPath, ['-e', source, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(holder.stdout, 'data')
  return { release: () => holder.stdin.write('\n'), kill: () => holder.kill('SIGKILL') }
}

const failures = []

function expect(what, holds, found) {
  console.log(`  ${holds ? 'yes' : 'NO '}  ${what}: ${found}`)
  if (!holds) failures.push(what)
}

/** That the last of the samples need no more than those in the middle; `busy` descriptors come and go. */
function expectFlat(samples, busy = 0) {
  const half = samples.slice(Math.floor(samples.length / 2))
  const middle = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]
  const of = (part, name) => middle(part.map((sample) => sample[name]))
  const third = Math.max(1, Math.floor(half.length / 3))
  const [before, after] = [half.slice(0, third), half.slice(-third)]
  const growth = of(after, 'rss') - of(before, 'rss')
  expect('memory is flat', growth < SLACK, `${(growth / 1e6).toFixed(1)} MB more over the second half`)
  for (const name of ['descriptors', 'threads']) {
    const [from, to] = [Math.max(...before.map((each) => each[name])), Math.max(...after.map((each) => each[name]))]
    const slack = name === 'threads' ? 2 : busy
    expect(`${name} are as many as before`, to <= from + slack, `${from}, then ${to}`)
  }
}

function draw(name, title, subtitle, samples) {
  const { plot } = require('./soak/plot.js')
  fs.mkdirSync(CHARTS, { recursive: true })
  const file = path.join(CHARTS, `${name}.svg`)
  fs.writeFileSync(file, plot({ title, subtitle, samples }))
  console.log(`  ${path.relative(root, file)}`)
}

/** Acquires of all kinds, one after the other. */
async function leakCheck(lockFile, usage, folder, acquires) {
  console.log(`\n${acquires.toLocaleString('en')} acquires`)
  const file = path.join(folder, 'leak.lock')
  const kept = lockFile(file)
  const kinds = [
    () => kept.run(() => {}),
    () => lockFile(file).run(() => {}),
    () => kept.acquireSync().release(),
    () => lockFile(path.join(folder, 'other.lock'), { removeOnRelease: true }).run(() => {}),
    async () => {
      const lock = await lockFile(file).acquire({ mode: 'shared' })
      await lockFile(file).tryAcquire()
      lock.release()
    },
  ]
  const samples = []
  const step = Math.ceil(acquires / 100)
  for (let i = 0; i <= acquires; i++) {
    await kinds[i % kinds.length]()
    if (i % step === 0) samples.push({ at: i || 1, ...usage() })
  }
  expectFlat(samples)
  draw(
    'acquires',
    'Acquires leave nothing behind',
    `${acquires.toLocaleString('en')} acquires, from left to right`,
    samples,
  )
}

/** How long the event loop is held up when there is nothing to do, by others on this machine: 99 of 100 times less, in ms. */
async function delayOfMachine() {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  await sleep(3000)
  delays.disable()
  return delays.percentile(99) / 1e6
}

/** Comes and goes: has a file of its own, or waits where all wait, and gives up. */
async function visit(lockFile, contended, own, isOver) {
  while (!isOver()) {
    await lockFile(own).run(() => new Promise(setImmediate))
    await lockFile(contended)
      .acquire({ timeout: 5 })
      .catch(() => {})
    const controller = new AbortController()
    const wait = lockFile(contended).acquire({ signal: controller.signal })
    setTimeout(() => controller.abort(), 5)
    await wait.catch(() => {})
  }
}

async function waiting({ lockFile, query }, { usage, idle }, folder, { waiters, seconds, delay }) {
  console.log(`\n${waiters.toLocaleString('en')} waits, and ${VISITORS} who come and go for ${seconds} s`)
  const file = path.join(folder, 'contended.lock')
  const own = await delayOfMachine()
  const holder = await holderOf(file)
  process.on('exit', holder.kill)
  const waits = Array.from({ length: waiters }, () => lockFile(file).acquire())
  while (query().pending.length < waiters) await sleep(10)

  const start = Date.now()
  const isOver = () => Date.now() - start >= seconds * 1000
  const visits = Array.from({ length: VISITORS }, (_, i) =>
    visit(lockFile, file, path.join(folder, `${i}.lock`), isOver),
  )
  // A sample holds the event loop up itself, by collecting the garbage; so does all that has become due meanwhile.
  const samples = []
  const delays = monitorEventLoopDelay({ resolution: 1 })
  while (!isOver()) {
    await sleep(SETTLE)
    delays.enable()
    await sleep(Math.max(1000, seconds * 10))
    delays.disable()
    samples.push({ at: (Date.now() - start) / 1000, ...usage() })
  }
  await Promise.all(visits)
  const p99 = delays.percentile(99) / 1e6
  // On a machine that others keep busy nobody could do better than the machine.
  const found = `p99 ${p99.toFixed(2)} ms, with nothing to do ${own.toFixed(2)} ms`
  expect('the event loop is not held up', p99 < Math.max(delay, 2 * own), found)
  expectFlat(samples, VISITORS)
  draw(
    'waiters',
    'Waits cost what they are',
    `${waiters.toLocaleString('en')} waits pending, ${seconds} s from left to right`,
    samples,
  )

  console.log(`\nnothing changes for ${QUIET / 1000} s`)
  await sleep(CALM)
  const { cpu, wakes, ours } = await idle(QUIET)
  const show = (ms, times) => `${ms.toFixed(1)} ms, ${times} times woken`
  expect('the threads that wait take no processor time', ours.wakes === 0, show(ours.cpu, ours.wakes))
  expect('nor does the process', cpu < NO_TIME, show(cpu, wakes))

  console.log('\nall are served')
  const served = Promise.all(waits.map(async (wait) => (await wait).release()))
  const begin = performance.now()
  holder.release()
  await served
  const { held, pending } = query()
  expect('nobody is left', held.length + pending.length === 0, `${(performance.now() - begin).toFixed(0)} ms`)
}

async function main() {
  if (process.platform !== 'linux') return console.log('The figures are read from /proc: Linux only')
  const options = parseArguments()
  if (!globalThis.gc) {
    // Else garbage looks like a leak, and so does what the heaps of V8 and of the C library keep for the next time.
    const again = [...process.execArgv, '--expose-gc', '--max-semi-space-size=1', __filename, ...process.argv.slice(2)]
    const env = { ...process.env, MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '0' }
    process.exitCode = spawnSync(process.execPath, again, { stdio: 'inherit', env }).status ?? 1
    return undefined
  }
  prepare()
  const locket = require('..')
  const tools = require('./soak/usage.js')
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'locket-soak-'))
  try {
    await leakCheck(locket.lockFile, tools.usage, folder, options.acquires)
    await waiting(locket, tools, folder, options)
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
  console.log(failures.length > 0 ? `\nNot as it should be: ${failures.join('; ')}` : '\nAll as it should be')
  process.exitCode = failures.length > 0 ? 1 : 0
  return undefined
}

main()
