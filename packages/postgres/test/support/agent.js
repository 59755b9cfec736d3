'use strict'

// A process, or worker thread, with a handle that is told what to do, message by message. See agents.js.

const { parentPort, workerData } = require('node:worker_threads')

const { postgresLock } = require('../..')

const [name, options] = workerData ?? JSON.parse(process.argv[2])
const lock = postgresLock(name, options)
const say = (message) => (parentPort === null ? process.send(message) : parentPort.postMessage(message))

const ACTIONS = {
  async acquire(wait) {
    await lock.acquire(wait)
    lock.lost.addEventListener('abort', () => say({ event: 'lost', at: Date.now(), code: lock.lost.reason.code }))
    return String(lock.token)
  },
  tryAcquire: () => lock.tryAcquire(),
  release: () => lock.release(),
  held: () => lock.held,
  holders: () => lock.holders(),
  /** Writes under the token, see examples/fencing.js. */
  async write(text) {
    const { Client } = require('pg')
    const client = new Client(options.connection)
    await client.connect()
    const { rowCount } = await client.query(
      'update report set body = $1, token = $2 where token is null or token <= $2',
      [text, lock.token],
    )
    await client.end()
    return rowCount === 1
  },
  exit: () => process.exit(0),
}

;(parentPort ?? process).on('message', async ({ id, action, args }) => {
  try {
    say({ id, value: await ACTIONS[action](...args) })
  } catch ({ code, message }) {
    say({ id, error: { code, message } })
  }
})
