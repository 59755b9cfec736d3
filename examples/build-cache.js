'use strict'

// A cache in a folder, which any number of processes use at once. What is missing is built once, by one of them.
//
//   node examples/build-cache.js KEY         uses an entry, and builds it if it is missing
//   node examples/build-cache.js --clean     deletes all entries, when nobody uses one
//
// Run it in several terminals at once, with the same KEY: one builds it, all of them use it together.

const { existsSync } = require('node:fs')
const fs = require('node:fs/promises')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')

const { lockFile, LockTimeoutError } = require('@locket/native')

const FOLDER = path.join(os.tmpdir(), 'build-cache')
const ENTRIES = path.join(FOLDER, 'entries')
// Beside the entries, since it has to stay when they go.
const LOCK = path.join(FOLDER, 'lock')
/** In milliseconds. */
const BUILD_WAIT = 1000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  // How long the build pretends to work, in seconds.
  options: { clean: { type: 'boolean' }, takes: { type: 'string', default: '5' } },
})

/** Resolves to what `use` makes of the entry `key`, which nobody deletes in the meantime. `build` makes it if need be. */
async function withEntry(key, build, use) {
  // A handle for each call: one holds the lock at most once, and calls may overlap in this process too.
  const lock = lockFile(LOCK)
  const entry = path.join(ENTRIES, key)
  for (;;) {
    const used = await lock.run(async () => existsSync(entry) && { result: await use(entry) }, { mode: 'shared' })
    if (used) return used.result
    console.log(`Missing: ${key}`)
    await buildIfMissing(lock, entry, build)
  }
}

async function buildIfMissing(lock, entry, build) {
  // A shared lock is never turned into the exclusive one: two who tried would wait for each other for ever. It has been
  // released. So somebody else may build the entry first, and its users may then keep the lock for long: a process that
  // went on waiting for the exclusive one would wait for them, and not be one of them.
  if (!(await acquired(lock, BUILD_WAIT))) return
  try {
    if (!existsSync(entry)) await buildWhole(entry, build)
  } finally {
    lock.release()
  }
}

async function acquired(lock, timeout) {
  try {
    await lock.acquire({ timeout })
    return true
  } catch (error) {
    if (error instanceof LockTimeoutError) return false
    throw error
  }
}

/** Builds an entry out of sight, so that a build that fails or is killed leaves none. The lock must be held. */
async function buildWhole(entry, build) {
  // The holder of the lock is the only one to build. What is there already was left by one that was killed.
  const unfinished = `${entry}.unfinished`
  await fs.rm(unfinished, { recursive: true, force: true })
  await fs.mkdir(ENTRIES, { recursive: true })
  await build(unfinished)
  await fs.rename(unfinished, entry)
}

/** A slow build of one file. It might as well be a folder. */
async function build(target) {
  console.log(`Building: ${path.basename(target)}`)
  await fs.writeFile(target, `built by ${process.pid}, `)
  await sleep(Number(values.takes) * 1000)
  await fs.appendFile(target, 'to the end')
}

/** Uses an entry until somebody presses Enter. */
async function use(entry) {
  console.log(`Using (Enter to end): ${await fs.readFile(entry, 'utf8')}`)
  for await (const _ of process.stdin) break
}

async function main() {
  // The lock's folder is not created for it.
  await fs.mkdir(FOLDER, { recursive: true })
  if (values.clean) {
    console.log('Waiting until nobody uses an entry')
    await lockFile(LOCK).run(() => fs.rm(ENTRIES, { recursive: true, force: true }))
    console.log('Cleaned')
    return
  }
  await withEntry(positionals[0] ?? 'example', build, use)
  console.log('Done')
}

main()
