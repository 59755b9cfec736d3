'use strict'

// One process of the demo. Its parent tells it when to acquire and when to release; it reports every step, with the time.

const { lockFile } = require('../..')
const { now } = require('./clock.js')

const lock = lockFile(process.argv[2])

const report = (what, message) => process.send({ what, at: now(), message })

const commands = {
  async acquire(options) {
    report('waits')
    try {
      await lock.acquire(options)
      report('holds')
    } catch (error) {
      if (error.code !== 'ERR_LOCK_TIMEOUT') throw error
      report('refused', error.message)
    }
  },
  release() {
    // Reported first: afterwards the next holder's report could be the earlier one.
    report('rests')
    lock.release()
  },
  leave: () => process.disconnect(),
}

process.on('message', ({ command, options }) => commands[command](options))
// A pending acquire would keep the process alive, and nobody is left to tell it anything.
process.on('disconnect', () => process.exit())
// Ctrl-C reaches every process of the terminal. The parent ends the others.
process.on('SIGINT', () => {})
report('ready')
