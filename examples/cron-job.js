'use strict'

// A job for cron that skips its turn if the last one has not finished.
//
//   node examples/cron-job.js                in two terminals: the second run is skipped
//   node examples/cron-job.js --wait 60      waits up to a minute for the other run to finish, and is skipped then
//
// In a crontab:  */5 * * * *  node /srv/app/cron-job.js >> /var/log/cron-job.log 2>&1

const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { parseArgs } = require('node:util')

const { lockFile, LockTimeoutError } = require('@locket/native')

// Take a folder of your program's own, which nobody tidies up.
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
    // The message names the holder. And to be skipped is no failure, so the exit code stays 0.
    log(`Skipped: ${error.message}`)
    return
  }
  // Not lock.run(work, …): a LockTimeoutError of the job's own is none of ours.
  try {
    log('Started')
    await work()
    log('Finished')
  } finally {
    lock.release()
  }
}

main()
