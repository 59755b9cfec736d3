'use strict'

// The worker thread of the behaviours. It does with its own handle what a message says, and answers when it is done.

const { parentPort, workerData } = require('node:worker_threads')

const { lockFile } = require('@locket/native')

const lock = lockFile(workerData.file)
const say = (answer) => parentPort.postMessage(answer)

const commands = {
  async acquire() {
    await lock.acquire()
    say('acquired')
  },
  /** Has some waits in line. */
  async wait() {
    const waits = Array.from({ length: workerData.waits ?? 1 }, () => lockFile(workerData.file).acquire())
    await lock.isLocked()
    say('waiting')
    await Promise.all(waits)
    say('acquired')
  },
  acquireSync() {
    say('waiting')
    lock.acquireSync()
    say('acquired')
  },
  release() {
    lock.release()
    say('released')
  },
  /** Ends by itself. */
  close() {
    parentPort.close()
  },
}

parentPort.on('message', (command) => commands[command]())
say('ready')
