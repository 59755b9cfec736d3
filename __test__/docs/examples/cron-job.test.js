'use strict'

// examples/cron-job.js

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { temporaryFolder } = require('../../support/folders.js')
const { GOOD_END } = require('../../support/processes.js')
const { LINUX } = require('../../support/systems.js')
const { staysPending, until } = require('../../support/waiting.js')
const { start } = require('./example.js')

/** Longer than any test waits, in seconds. */
const FOR_EVER = '100000'

const run = (t, folder, args) => start(t, 'cron-job.js', folder, args)

/** A line of the log without its time, of which only the look is tested. */
function messageOf(line) {
  const [, message] = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (.*)$/.exec(line) ?? assert.fail(`no time: ${line}`)
  return message
}

const messagesOf = async (job) => (await job.rest()).map(messageOf)

/** Starts a run that never finishes. */
async function startEndless(t, folder) {
  const job = run(t, folder, ['--takes', FOR_EVER])
  assert.equal(messageOf(await job.line()), 'Started')
  return job
}

/** A job has to end well with one line: that it was skipped, `when`, for `going`. */
async function assertSkipped(t, folder, args, going, when) {
  let job
  let messages
  // On a busy machine the system may be too late to tell who holds the lock: then another job.
  await until(async () => {
    job = run(t, folder, args)
    messages = await messagesOf(job)
    return !LINUX || !messages[0]?.endsWith('it is locked')
  }, 'a job that names the one that still goes')
  const holder = LINUX ? `held by ${going.pid} (${path.basename(process.execPath)} cron-job.js)` : 'it is locked'
  assert.deepEqual(messages, [`Skipped: Couldn't lock ${path.join(folder, 'cron-job.lock')}${when}: ${holder}`])
  assert.deepEqual(await job.ended(), GOOD_END)
}

test('a job runs if no other run is still going', async (t) => {
  const folder = temporaryFolder(t)
  for (let i = 0; i < 2; i++) {
    const job = run(t, folder, ['--takes', '0'])
    assert.deepEqual(await messagesOf(job), ['Started', 'Finished'])
    assert.deepEqual(await job.ended(), GOOD_END)
  }
})

for (const [what, args, when] of [
  ['while another run is still going', [], ''],
  ['when the other run has not finished by the end of --wait', ['--wait', '0.2'], ' within 200 ms'],
]) {
  test(`a job is skipped ${what}, with one line that names it, and exit code 0`, async (t) => {
    const folder = temporaryFolder(t)
    const going = await startEndless(t, folder)
    await assertSkipped(t, folder, [...args, '--takes', '0'], going, when)
  })
}

test('a job with --wait runs as soon as the other run has been killed', async (t) => {
  const folder = temporaryFolder(t)
  const going = await startEndless(t, folder)
  const waiting = run(t, folder, ['--wait', FOR_EVER, '--takes', '0'])
  const messages = messagesOf(waiting)
  messages.catch(() => {})
  assert.ok(await staysPending(messages, 300))
  await going.kill('SIGKILL')
  assert.deepEqual(await messages, ['Started', 'Finished'])
  assert.deepEqual(await waiting.ended(), GOOD_END)
  // A run that was killed does not make the next one skip, either.
  const killed = await startEndless(t, folder)
  await killed.kill('SIGKILL')
  assert.deepEqual(await messagesOf(run(t, folder, ['--takes', '0'])), ['Started', 'Finished'])
})

test('a --wait that is no number is an error, and the job does not run', async (t) => {
  const job = run(t, temporaryFolder(t), ['--wait', 'long', '--takes', '0'])
  assert.deepEqual(await job.rest(), [])
  const { code, stderr } = await job.ended()
  assert.equal(code, 1)
  assert.match(stderr, /ERR_OUT_OF_RANGE/)
})
