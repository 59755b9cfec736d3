'use strict'

// A process of a storm: its main thread works as any other, and starts worker threads, terminates some, and replaces them.
//
// Usage: node process.js PLAN, with a channel to storm.js, which says `stop` or asks `query`.

const fs = require('node:fs')
const path = require('node:path')
const { Worker } = require('node:worker_threads')

const { query } = require('../..')
const { sleep } = require('./attempt.js')
const { Thread } = require('./thread.js')

/** How long a worker lives before it is terminated, on average, if nothing else ends it. */
const TERMINATION = 5000

/** How long what a thread has left behind may take to go, in milliseconds. */
const PATIENCE = 30_000

/** Starts a worker, and another one whenever it has been terminated. Resolves when there is no more to start. */
async function keepWorker(plan, stop, main, numbers, alive) {
  while (!main.isOver()) {
    const number = numbers.next++
    const worker = new Worker(path.join(__dirname, 'thread.js'), { workerData: { plan, number, stop } })
    alive.add(number)
    const ended = new Promise((resolve, reject) => {
      worker.on('exit', resolve)
      worker.on('error', reject)
    })
    const timer = setTimeout(
      () => {
        if (main.isOver()) return
        main.journal.write('terminates', { thread: number })
        worker.terminate()
      },
      main.random(`life of ${number}`).interval(TERMINATION),
    )
    await ended
    clearTimeout(timer)
    alive.delete(number)
  }
}

/** What has ended must have left nothing behind. */
async function lookForRemains(main) {
  const end = Date.now() + PATIENCE
  let remains
  do {
    const { held, pending } = query()
    remains = [...held, ...pending]
    if (remains.length === 0) return
    await sleep(10)
  } while (Date.now() < end)
  main.journal.write('leftover', { count: remains.length })
  fs.writeSync(2, `left over: ${JSON.stringify(remains)}\n`)
}

async function main() {
  const plan = JSON.parse(process.argv[2])
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const thread = new Thread(plan, 0, stop)
  const alive = new Set()

  // Ctrl-C goes to every process of the terminal. The storm says when to end.
  process.on('SIGINT', () => {})
  process.on('message', (message) => {
    if (message === 'stop') Atomics.store(stop, 0, 1)
    else process.send({ threads: [...alive], ...query() })
  })
  const abandoned = () => process.exit(1)
  process.on('disconnect', abandoned)

  const numbers = { next: 1 }
  const workers = Array.from({ length: plan.workers }, () => keepWorker(plan, stop, thread, numbers, alive))
  await Promise.all([thread.run(), ...workers])
  await lookForRemains(thread)
  thread.journal.write('closed')
  process.off('disconnect', abandoned)
  process.disconnect()
}

main()
