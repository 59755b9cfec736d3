'use strict'

// A job for cron that is skipped if the last run has not finished.
//
//   node examples/cron-job.js                in two terminals: the second run is skipped
//   node examples/cron-job.js --wait 60      waits up to a minute for the other run, and is skipped after that
//
// In a crontab:  */5 * * * *  node /srv/app/cron-job.js >> /var/log/cron-job.log 2>&1

const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')

const { lockFile, LockTimeoutError } = require('@locket/native')

// Use a folder of your own program, where nothing deletes old files.
const LOCK = path.join(os.tmpdir(), 'cron-job.lock')

const { values } = parseArgs({
  options: {
    wait: { type: 'string', default: '0' },
    // How long the job pretends to work, in seconds.
    takes: { type: 'string', default: '10' },
  },
})

const log = (message) => console.log(`${new Date().toISOString()} ${message}`)

/** The job itself. */
const work = () => sleep(Number(values.takes) * 1000)

async function main() {
  const lock = lockFile(LOCK)
  try {
    await lock.acquire({ timeout: Math.round(Number(values.wait) * 1000) })
  } catch (error) {
    if (!(error instanceof LockTimeoutError)) throw error
    // The message names the holder. A skipped run is not a failure, so the exit code stays 0.
    log(`Skipped: ${error.message}`)
    return
  }
  // Not lock.run(work, …): the job may throw a LockTimeoutError of its own.
  try {
    log('Started')
    await work()
    log('Finished')
  } finally {
    lock.release()
  }
}

main()
