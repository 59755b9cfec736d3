'use strict'

// A program of which only one runs.
//
//   node examples/single-instance.js
//
// Run it in two terminals: the second one says who is there already, and ends with exit code 1. End the first one with
// Ctrl+D, Ctrl+C or kill -9, and the next one starts: the kernel frees the lock of a process that ends, however it ends.

const os = require('node:os')
const path = require('node:path')

const { lockFile } = require('@locket/native')

// Take a folder of your program's own, which nobody tidies up: where the file has been deleted, the next process makes
// a new one, and locks that.
const LOCK = path.join(os.tmpdir(), 'single-instance.lock')

/** Locks out all further instances for as long as this process lives. Resolves to whether there was none before. */
async function isFirst() {
  // Nobody keeps the handle or releases the lock: a lock is held until it is released or its process has ended. Nor does
  // it keep the process alive.
  return lockFile(LOCK).tryAcquire()
}

/** Who runs already, as far as the system tells: outside Linux it does not, and the holder may have ended just now. */
async function describeFirst() {
  const [holder] = (await lockFile(LOCK).holders()) ?? []
  if (holder === undefined) return 'in another process'
  return `as process ${holder.pid}${holder.command ? ` (${holder.command})` : ''}`
}

/** The program itself. This one waits for the end of its input. */
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
