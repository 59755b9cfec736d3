'use strict'

// The locks of dpkg and apt, in folders that are made up for the test: POSIX locks of fcntl(2).

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryFolder } = require('../support/folders.js')
const { outcomeOf, Talker } = require('../support/processes.js')
const { needing } = require('../support/systems.js')
const { errorNamingHolders } = require('../support/waiting.js')
const { getsInAfter, ownLock, refused } = require('./neighbour.js')

const FCNTL = { protocol: 'fcntl' }

const options = needing('dpkg')
const aptOptions = needing('apt-get')

/** A folder such as /var/lib/dpkg, with one package, whose script waits for a line when it is configured. */
function adminFolder(t) {
  const folder = temporaryFolder(t)
  const write = (name, text, mode) => fs.writeFileSync(path.join(folder, name), text, { mode })
  for (const name of ['info', 'updates', 'triggers']) fs.mkdirSync(path.join(folder, name))
  const fields = [
    'Package: paused',
    'Status: install ok unpacked',
    'Version: 1',
    'Architecture: all',
    'Maintainer: nobody',
  ]
  write('status', `${fields.join('\n')}\nDescription: waits for a line\n`)
  write('available', '')
  write('info/paused.list', '/.\n')
  write('info/paused.postinst', '#!/bin/sh\necho configuring\nread line || true\n', 0o755)
  return folder
}

/** Arguments for dpkg: it writes its log into the folder, and takes a user who is not root. */
const dpkgArgs = (folder, ...args) => [
  `--admindir=${folder}`,
  `--log=${path.join(folder, 'log')}`,
  '--force-not-root',
  '--force-bad-path',
  ...args,
]

/** dpkg, paused while it holds both of its locks. */
async function configuring(t, folder) {
  const dpkg = new Talker(t, 'dpkg', dpkgArgs(folder, '--configure', 'paused'))
  for (;;) if ((await dpkg.line()) === 'configuring') return dpkg
}

for (const name of ['lock', 'lock-frontend']) {
  test(`while ours holds dpkg's ${name} dpkg says that it is locked, and runs afterwards`, options, (t) => {
    const folder = adminFolder(t)
    const lock = ownLock(t, path.join(folder, name), FCNTL).acquireSync()
    const run = () => outcomeOf('dpkg', dpkgArgs(folder, '--configure', 'paused'), { input: '' })
    const { code, stderr } = run()
    assert.equal(code, 2)
    assert.match(stderr, /was locked by another process/)
    lock.release()
    assert.deepEqual({ ...run(), stdout: '' }, { code: 0, signal: null, stdout: '', stderr: '' })
  })

  test(`while dpkg holds its ${name} ours is refused, names dpkg and gets in when dpkg ends`, options, async (t) => {
    const folder = adminFolder(t)
    const lock = ownLock(t, path.join(folder, name), FCNTL)
    const dpkg = await configuring(t, folder)
    assert.equal(await lock.isLocked(), true)
    await refused(lock)
    if (process.platform === 'linux') {
      const error = await errorNamingHolders(() => lock.acquire(0))
      assert.deepEqual(
        error.holders.map(({ pid, mode }) => ({ pid, mode })),
        [{ pid: dpkg.pid, mode: 'exclusive' }],
      )
      assert.match(error.message, new RegExp(`held by ${dpkg.pid} \\(dpkg\\b`))
    }
    await getsInAfter(t, lock, async () => {
      dpkg.say('go on')
      assert.equal((await dpkg.ended()).code, 0)
    })
  })
}

test('flock, which is what this package takes by default, is not the lock of dpkg', options, async (t) => {
  const folder = adminFolder(t)
  await configuring(t, folder)
  assert.equal(await ownLock(t, path.join(folder, 'lock')).tryAcquire(), true)
})

test('while ours holds the lock of the archives apt-get says so, and runs afterwards', aptOptions, async (t) => {
  const folder = temporaryFolder(t)
  fs.mkdirSync(path.join(folder, 'archives/partial'), { recursive: true })
  const lock = await lockFile(path.join(folder, 'archives/lock'), FCNTL).acquire()
  t.after(() => lock[Symbol.dispose]())
  const args = ['-o', `Dir::Cache=${folder}`, '-o', `Dir::State=${folder}`, 'clean']
  const { code, stderr } = outcomeOf('apt-get', args)
  assert.equal(code, 100)
  assert.match(stderr, /Could not get lock/)
  lock.release()
  assert.equal(outcomeOf('apt-get', args).code, 0)
})
