'use strict'

// A worker thread with a semaphore. Told a command, it answers with what comes of it: an error's code, if one does.

const { parentPort, workerData } = require('node:worker_threads')

const { semaphore } = require('../..')

const { file, permits } = workerData
const held = []

const commands = {
  async acquire() {
    held.push(await semaphore(file, permits).acquire())
    return 'acquired'
  },
  release() {
    held.shift().release()
    return 'released'
  },
  end: () => parentPort.close(),
  exit: () => process.exit(3),
  fail() {
    setImmediate(() => {
      throw new Error('on purpose')
    })
  },
}

parentPort.on('message', async (command) => {
  try {
    parentPort.postMessage(await commands[command]())
  } catch (error) {
    parentPort.postMessage(error.code ?? error.stack)
  }
})
