'use strict'

// Paths that do not answer, as on a dead mount, by a lease: the kernel lets nobody open the file until it is given up.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const { test } = require('node:test')

const { lockFile, query } = require('..')
const { errorOf, eventually, isFree, temporaryPath } = require('./support.js')

const OPTIONS = { skip: process.platform !== 'linux' && 'leases are of Linux' }

/** Takes a lease on the file whose path it is given, until its standard input ends. */
const LEASE = `
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('leased', flush=True)
sys.stdin.read()
`

/** The path of a file that nobody else can open until the process is ended. */
async function leasedFile(t) {
  const file = temporaryPath(t)
  const process = spawn('python3', ['-c', LEASE, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => process.kill('SIGKILL'))
  await eventually(once(process.stdout, 'data'), 'the lease')
  const end = async () => {
    process.stdin.end()
    await eventually(once(process, 'exit'), 'the end of the lease')
  }
  return { file, end }
}

test('a try or a question ends though its path does not answer, and says so', OPTIONS, async (t) => {
  const { file, end } = await leasedFile(t)
  const calls = {
    'tryAcquire()': () => lockFile(file).tryAcquire(),
    'acquire(0)': () => lockFile(file).acquire(0),
    'isLocked()': () => lockFile(file).isLocked(),
  }
  for (const [name, call] of Object.entries(calls)) {
    const error = await eventually(errorOf(call), `the end of ${name}`)
    assert.equal(error.code, 'ERR_LOCK_TIMEOUT', name)
    assert.match(error.message, /the path does not answer$/, name)
    assert.equal(error.holders, undefined, name)
  }
  assert.deepEqual(query().pending, [])
  await end()
  // Those who have been told so hold nothing when the path answers.
  for (let i = 0; i < 10; i++) assert.equal(await isFree(file), true)
})

test('a wait whose time is over ends although its path does not answer, and says so', OPTIONS, async (t) => {
  const { file } = await leasedFile(t)
  const error = await eventually(
    errorOf(() => lockFile(file).acquire(50)),
    'the end of the wait',
  )
  assert.equal(error.code, 'ERR_LOCK_TIMEOUT')
  assert.equal(error.message, `Couldn't lock ${file} within 50 ms: the path does not answer`)
})

test('an abort of a try whose path does not answer is heard at once', OPTIONS, async (t) => {
  const { file } = await leasedFile(t)
  const controller = new AbortController()
  const attempt = errorOf(() => lockFile(file).tryAcquire({ signal: controller.signal }))
  controller.abort()
  assert.equal((await eventually(attempt, 'the rejection')).code, 'ABORT_ERR')
})

test('a try is answered by the lock, not by the time, where the path answers', OPTIONS, async (t) => {
  const { file, end } = await leasedFile(t)
  const attempt = lockFile(file).tryAcquire()
  await end()
  // Either the lease was given up in time, or not.
  const result = await eventually(
    attempt.catch((error) => error.code),
    'an answer',
  )
  assert.ok(result === true || result === 'ERR_LOCK_TIMEOUT', String(result))
  assert.equal(fs.existsSync(file), true)
})
