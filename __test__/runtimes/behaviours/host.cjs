'use strict'

// The package as a guest of the process: what others in it can see, and what it leaves alone.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { channel, tracingChannel } = require('node:diagnostics_channel')
const fs = require('node:fs')
const path = require('node:path')

const { lockFile, query } = require('@locket/native')
const {
  Child,
  eventually,
  holderOf,
  RESTRICTED,
  staysPending,
  temporaryFolder,
  temporaryPath,
} = require('../support.cjs')

module.exports = {
  async 'holders() says who has the lock'() {
    const file = temporaryPath()
    const lock = lockFile(file)
    const known = process.platform === 'linux'
    assert.deepEqual(await lock.holders(), known ? [] : undefined)
    const holder = await holderOf(file)
    const holders = await lock.holders()
    assert.deepEqual(
      holders?.map(({ pid, mode }) => ({ pid, mode })),
      known ? [{ pid: holder.pid, mode: 'exclusive' }] : undefined,
    )
    if (known) assert.match(holders[0].command, /child\.cjs agent/)
    const error = await lock.acquire({ timeout: 0 }).catch((reason) => reason)
    assert.deepEqual(error.holders, holders)
    if (known) assert.ok(error.message.includes(`held by ${holder.pid} (`), error.message)
  },

  async 'query() lists what is held and awaited'() {
    const file = temporaryPath()
    const lock = await lockFile(file).acquire()
    const wait = lockFile(file).acquire({ mode: 'shared' })
    await lock.isLocked()
    const listed = ({ path: of, mode, since }) => {
      assert.ok(Math.abs(Date.now() - since) < 60_000, `since ${since}`)
      return { path: of, mode }
    }
    const { held, pending } = query()
    assert.deepEqual(held.map(listed), [{ path: file, mode: 'exclusive' }])
    assert.deepEqual(pending.map(listed), [{ path: file, mode: 'shared' }])
    lock.release()
    ;(await eventually(wait, 'the lock')).release()
    assert.deepEqual(query(), { held: [], pending: [] })
  },

  async 'diagnostics_channel tells of it'() {
    const told = []
    const tell = (event) => (message) => told.push([event, message.path])
    const events = Object.fromEntries(
      ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((event) => [event, tell(event)]),
    )
    tracingChannel('locket.acquire').subscribe(events)
    channel('locket.release').subscribe(tell('release'))
    const file = temporaryPath()
    const lock = await lockFile(file).acquire()
    lock.release()
    const expected = ['start', 'end', 'asyncStart', 'asyncEnd', 'release']
    assert.deepEqual(
      told,
      expected.map((event) => [event, file]),
    )
    told.length = 0
    const missing = path.join(file, 'missing')
    await assert.rejects(lockFile(missing).acquire())
    assert.deepEqual(told.map(([event]) => event).sort(), ['asyncEnd', 'asyncStart', 'end', 'error', 'start'])
  },

  async 'waits leave the file system calls of others alone'() {
    const folder = temporaryFolder()
    const files = Array.from({ length: 8 }, (_, i) => path.join(folder, `${i}.lock`))
    const holder = new Child('holdAll', ...files)
    assert.equal(await holder.line(), 'acquired')
    const waits = files.map((file) => lockFile(file).acquire())
    assert.ok(await staysPending(Promise.race(waits)))
    const read = fs.promises.readFile(__filename, 'utf8')
    assert.match(await eventually(read, 'a file read while waits are pending'), /^'use strict'/)
    assert.ok(await staysPending(Promise.race(waits)))
    assert.equal(await holder.ask('release'), 'released')
    for (const lock of await eventually(Promise.all(waits), 'the locks')) lock.release()
  },

  async 'few permissions are enough'() {
    assert.ok(RESTRICTED, 'no permissions to restrict')
    const folder = temporaryFolder()
    const [command, ...args] = RESTRICTED
    const script = path.join(__dirname, '../restricted.cjs')
    // Into a file: pipes do not work everywhere.
    const said = path.join(folder, 'said')
    const output = fs.openSync(said, 'w')
    const { status } = spawnSync(command, [...args, script, path.join(folder, 'test.lock')], {
      cwd: __dirname,
      // Some warn, on stderr, that an addon is beyond such permissions.
      stdio: ['ignore', output, 'inherit'],
    })
    fs.closeSync(output)
    assert.deepEqual({ status, said: fs.readFileSync(said, 'utf8') }, { status: 0, said: 'refused\nacquired\n' })
  },
}
