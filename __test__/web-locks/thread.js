'use strict'

// A worker thread that is told by messages what to do with the locks of a folder (see Thread in locks.js). It answers with what a
// command returns, or with the name of its error.

const { parentPort, workerData } = require('node:worker_threads')

const { LockManager } = require('../..')

const { folder, gate } = workerData
const manager = new LockManager(folder)

/** Blocks this thread until it is told to go on. */
const waitForGate = () => Atomics.wait(gate, 0, 0)

const commands = {
  /** Holds a lock until this thread ends. */
  hold: (name) => new Promise((resolve) => manager.request(name, () => new Promise(() => resolve('held')))),
  request: (name) => manager.request(name, () => 'granted'),
  query: () => manager.query(),

  /** Holds a lock until it is lost. */
  holdUntilLost(name, say) {
    return manager.request(name, () => {
      say('held')
      return new Promise(() => {})
    })
  },

  /** Holds a lock while this thread is blocked: it has ended its callback before it learns of anything. */
  holdBusy(name, say) {
    return manager.request(name, () => {
      say('held')
      waitForGate()
    })
  },

  /** Holds a lock while this thread is blocked, fails before it learns of anything, and requests the lock again. */
  async failBusy(name, say) {
    const failing = manager.request(name, () => {
      say('held')
      waitForGate()
      throw new Error('on purpose')
    })
    await failing.catch(() => {})
    const again = manager.request(name, () => 'granted')
    say('waiting')
    return again
  },

  /** Counts up in a shared number, as only the holder of a lock may. */
  async count(name, _say, { counter, times }) {
    for (let i = 0; i < times; i++) {
      await manager.request(name, async () => {
        const count = counter[0]
        await new Promise(setImmediate)
        counter[0] = count + 1
      })
    }
    return 'done'
  },
}

parentPort.on('message', async ({ command, name, options }) => {
  const say = (value) => parentPort.postMessage(value)
  try {
    say(await commands[command](name, say, options))
  } catch (error) {
    say(error.name)
  }
})
