'use strict'

// A pool of worker threads that take turns on one file, so that no update is lost.
//
//   node examples/worker-turns.js
//
// Run it in several terminals at once: processes take turns as threads do, and the count stays exact.

const { once } = require('node:events')
const fs = require('node:fs/promises')
const os = require('node:os')
const path = require('node:path')
const { isMainThread, threadId, Worker } = require('node:worker_threads')

const { lockFile } = require('@locket/native')

const FILE = path.join(os.tmpdir(), 'worker-turns.json')
const THREADS = 4
const TURNS_EACH = 25

async function readCounts() {
  try {
    return JSON.parse(await fs.readFile(FILE, 'utf8'))
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return { total: 0, threads: {} }
  }
}

/** Reads, changes and writes the file: three steps that no other thread may interrupt. */
async function count() {
  const counts = await readCounts()
  counts.total++
  counts.threads[threadId] = (counts.threads[threadId] ?? 0) + 1
  // Renamed when it is complete: a process that is killed at any point leaves either the old file or the new one.
  await fs.writeFile(`${FILE}.new`, JSON.stringify(counts))
  await fs.rename(`${FILE}.new`, FILE)
}

async function takeTurns() {
  // The lock is a separate file, since FILE is replaced at every turn, and a lock on it would stay with the old file.
  // Each thread creates its own handle: a handle for the same file is the same lock.
  const lock = lockFile(`${FILE}.lock`)
  for (let turn = 0; turn < TURNS_EACH; turn++) await lock.run(count)
}

async function main() {
  const workers = Array.from({ length: THREADS }, () => new Worker(__filename))
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  const { total } = await readCounts()
  console.log(`${THREADS} threads took ${TURNS_EACH} turns each. The file counts ${total}.`)
}

if (isMainThread) main()
else takeTurns()
