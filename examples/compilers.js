'use strict'

// A limit of compilers over all shells: runs a command as soon as fewer than the limit run, no matter who has started them.
//
//   node examples/compilers.js COMMAND [ARGUMENT…]
//
// Set it as the compiler of builds that know nothing of each other, as in `make CC='node examples/compilers.js cc'`. Run it in
// several terminals at once, with `sleep 10`: as many run as the machine has processors, and the next ones wait.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const os = require('node:os')
const path = require('node:path')

const { semaphore } = require('@locket/native')

/** All programs that share the semaphore need the same number. */
const LIMIT = Number(process.env.COMPILERS ?? os.availableParallelism())
const SLOTS = path.join(os.tmpdir(), 'compilers.slots')

/** Resolves to a permit. Says whom it waits for, if it has to wait. */
async function acquire(slots) {
  const permit = await slots.tryAcquire()
  if (permit !== undefined) return permit
  // undefined where the system does not tell.
  const pids = (await slots.holders())?.map(({ pid }) => pid).join(', ')
  console.error(`Waiting: ${LIMIT} run already${pids ? `, by ${pids}` : ''}`)
  return slots.acquire()
}

/** Runs a command to its end. Resolves to its exit code. */
async function run(command, args) {
  const child = spawn(command, args, { stdio: 'inherit' })
  const [code, signal] = await once(child, 'exit')
  return code ?? 128 + os.constants.signals[signal]
}

async function main([command, ...args]) {
  if (command === undefined) throw new Error('COMMAND is missing')
  const permit = await acquire(semaphore(SLOTS, LIMIT))
  try {
    process.exitCode = await run(command, args)
  } finally {
    permit.release()
  }
}

main(process.argv.slice(2))
