'use strict'

// A program that runs only once at a time.
//
//   node examples/single-instance.js
//
// Run it in two terminals: the second process says which one runs already, and exits with code 1. End the first process
// with Ctrl+D, Ctrl+C or kill -9, and the next one starts: the kernel releases the lock of a process that ends, however
// it ends.

const os = require('node:os')
const path = require('node:path')

const { lockFile } = require('@locket/native')

// Use a folder of your own program, where nothing deletes old files: if the file is deleted, the next process creates a
// new one, and locks that.
const LOCK = path.join(os.tmpdir(), 'single-instance.lock')

/** Locks out all further instances until this process ends. Resolves to true if this is the first instance. */
async function isFirst() {
  // Nothing has to keep the handle or release the lock: the lock is held until the process ends. It does not keep the
  // process alive.
  return lockFile(LOCK).tryAcquire()
}

/** Describes the first instance, as far as it is known: only Linux tells, and the holder may have ended just now. */
async function describeFirst() {
  const [holder] = (await lockFile(LOCK).holders()) ?? []
  if (holder === undefined) return 'in another process'
  return `as process ${holder.pid}${holder.command ? ` (${holder.command})` : ''}`
}

/** The program itself. It waits for the end of its input. */
function start() {
  console.log(`Running as process ${process.pid}`)
  process.stdin.resume()
}

async function main() {
  if (await isFirst()) {
    start()
  } else {
    console.error(`Already running ${await describeFirst()}`)
    process.exitCode = 1
  }
}

main()
