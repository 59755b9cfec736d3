'use strict'

// A cache in a folder that any number of processes use at once. One process builds a missing entry.
//
//   node examples/build-cache.js KEY         uses an entry, and builds it if it is missing
//   node examples/build-cache.js --clean     deletes all entries, once no process uses one
//
// Run it in several terminals at once, with the same KEY: one process builds the entry, and all use it together.

const { existsSync } = require('node:fs')
const fs = require('node:fs/promises')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')

const { lockFile, LockTimeoutError } = require('@locket/native')

const FOLDER = path.join(os.tmpdir(), 'build-cache')
const ENTRIES = path.join(FOLDER, 'entries')
// Beside the entries, since it stays when they are deleted.
const LOCK = path.join(FOLDER, 'lock')
/** How long to wait for the right to build, in milliseconds. */
const BUILD_WAIT = 1000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  // How long the build pretends to work, in seconds.
  options: { clean: { type: 'boolean' }, takes: { type: 'string', default: '5' } },
})

/** Calls `use` with the entry `key`, which is not deleted meanwhile. Calls `build` first if the entry is missing. */
async function withEntry(key, build, use) {
  // Each call has its own handle: a handle holds its lock at most once, and calls may overlap in this process too.
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
  // A shared lock cannot become an exclusive one: two processes that tried would wait for each other for ever. So the
  // shared lock has been released, and another process may build the entry first. Its users may then hold the shared
  // lock for long. Therefore the wait is limited: after it, this process uses the entry too.
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

/** Builds an entry under another name, so that a build that fails or is killed leaves none. The lock must be held. */
async function buildWhole(entry, build) {
  // Only the holder of the lock builds. A file that exists already was left by a build that was killed.
  const unfinished = `${entry}.unfinished`
  await fs.rm(unfinished, { recursive: true, force: true })
  await fs.mkdir(ENTRIES, { recursive: true })
  await build(unfinished)
  await fs.rename(unfinished, entry)
}

/** A slow build of one file. It could be a folder as well. */
async function build(target) {
  console.log(`Building: ${path.basename(target)}`)
  await fs.writeFile(target, `built by ${process.pid}, `)
  await sleep(Number(values.takes) * 1000)
  await fs.appendFile(target, 'to the end')
}

/** Uses an entry until the user presses Enter. */
async function use(entry) {
  console.log(`Using (Enter to end): ${await fs.readFile(entry, 'utf8')}`)
  for await (const _ of process.stdin) break
}

async function main() {
  // Acquiring creates the lock file, but not its folder.
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
