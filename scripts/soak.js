'use strict'

// `npm run soak [-- --seconds=300 --waiters=10000 --acquires=100000]`: does anything pile up, or cost anything?
//
// 1. Many acquires of all kinds, one after the other.
// 2. Many waits are pending on one file, and others come and go, for the seconds.
// 3. Nothing changes: the waits cost no processor time.
// 4. All waits are granted.
//
// Memory, descriptors and threads have to stay as they are. What the waits cost the event loop and the processor is compared
// with a process where nobody waits, in the same seconds. Exits with 1 if something is not as it should be. Linux only.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')

const { prepare, root } = require('./prepare.js')

/** How much more memory is still the same, in bytes: the heaps of V8 and of the C library grow and shrink by as much. */
const SLACK = 8_000_000
/** How long it takes until threads without work have ended, and V8 has done with the garbage, in ms. */
const CALM = 15_000
/** Nothing changes for so long, in ms. */
const QUIET = 10_000
/** Processor time in ms, beyond that of an idle process, that counts as none. */
const NO_TIME = 20
/** How many threads the waits take: one waits in the kernel, one keeps the time, one is there for all else. */
const THREADS = 3
/** How many times as long as without the waits the event loop may be held up: what is shorter than that is chance. */
const SAME_DELAY = 3
/** How long it takes after a sample until all is as before, in ms. */
const SETTLE = 100

function parseArguments() {
  const number = (value) => ({ type: 'string', default: value })
  const options = { seconds: number('300'), waiters: number('10000'), acquires: number('100000') }
  const { seconds, waiters, acquires } = parseArgs({ options }).values
  return { seconds: Number(seconds), waiters: Number(waiters), acquires: Number(acquires) }
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

const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

/** That the last of the samples need no more than those in the middle; `busy` descriptors come and go. */
function expectFlat(samples, busy = 0) {
  const half = samples.slice(Math.floor(samples.length / 2))
  const of = (part, name) => middle(part.map((sample) => sample[name]))
  const third = Math.max(1, Math.floor(half.length / 3))
  const [before, after] = [half.slice(0, third), half.slice(-third)]
  const growth = of(after, 'rss') - of(before, 'rss')
  expect('memory is flat', growth < SLACK, `${(growth / 1e6).toFixed(1)} MB more over the second half`)
  // What piles up is there at all times; where the machine is busy there may be more at some.
  const least = (part) => Math.min(...part.map(({ descriptors }) => descriptors))
  const [from, to] = [least(before), least(after)]
  expect('descriptors are as many as before', to <= from + busy, `${from}, then ${to}`)
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
    if (i % step === 0) samples.push(usage())
  }
  expectFlat(samples)
}

/** The same visitors in another process, of a file in `folder` that is locked, too, and that nobody else waits for. */
async function startTwinOf(folder) {
  const { startTwin } = require('./soak/visitors.js')
  fs.mkdirSync(folder)
  const file = path.join(folder, 'contended.lock')
  const holder = await holderOf(file)
  process.on('exit', holder.kill)
  const twin = startTwin(file, folder)
  return { ...twin, end: () => [twin.end(), holder.kill()] }
}

async function waiting({ lockFile, query }, { usage, idle }, folder, { waiters, seconds }) {
  const { VISITORS, delayMeter, visitors } = require('./soak/visitors.js')
  console.log(`\n${waiters.toLocaleString('en')} waits, and ${VISITORS} who come and go for ${seconds} s`)
  const file = path.join(folder, 'contended.lock')
  const holder = await holderOf(file)
  process.on('exit', holder.kill)
  const waits = Array.from({ length: waiters }, () => lockFile(file).acquire())
  while (query().pending.length < waiters) await sleep(10)
  const twin = await startTwinOf(path.join(folder, 'twin'))

  const start = Date.now()
  const isOver = () => Date.now() - start >= seconds * 1000
  const visits = visitors(lockFile, file, folder, isOver)
  // A sample holds the event loop up itself, by collecting the garbage; so does all that has become due meanwhile.
  const samples = []
  const delays = []
  const delaysOfTwin = []
  const meter = delayMeter()
  while (!isOver()) {
    await sleep(SETTLE)
    await twin.ask('start')
    meter.start()
    await sleep(Math.max(1000, seconds * 10))
    delays.push(meter.stop())
    delaysOfTwin.push(await twin.ask('stop'))
    samples.push(usage())
  }
  await Promise.all([visits, twin.ask('leave')])
  const [p99, others] = [middle(delays), middle(delaysOfTwin)]
  const found = `p99 ${p99.toFixed(2)} ms, without the waits ${others.toFixed(2)} ms`
  expect('the waits do not hold the event loop up', p99 < SAME_DELAY * others, found)
  expectFlat(samples, VISITORS)

  console.log(`\nnothing changes for ${QUIET / 1000} s`)
  await sleep(CALM)
  const [{ cpu, wakes, ours }, nothing] = await Promise.all([idle(QUIET), idle(QUIET, twin.pid)])
  twin.end()
  // Where the machine is busy, workers that make no headway for an instant are given help, which has ended by now.
  expect('there are no more threads than the waits take', ours.threads <= THREADS, `${ours.threads} of the package`)
  const show = (usage) => `${usage.cpu.toFixed(1)} ms, ${usage.wakes} times woken`
  expect('the threads that wait take no processor time', ours.wakes === 0, show(ours))
  const compared = `${show({ cpu, wakes })}; one that does nothing ${show(nothing)}`
  expect('nor does the process', cpu < nothing.cpu + NO_TIME, compared)

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
