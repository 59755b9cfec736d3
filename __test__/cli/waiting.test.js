'use strict'

// What the command-line tool says while it waits, wherever its stderr leads.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { ancestors } = require('../../bin/cli/ancestors.js')
const { announceWait } = require('../../bin/cli/waiting.js')
const { COMMAND, locket } = require('../support/command.js')
const { temporaryPath } = require('../support/folders.js')
const { GOOD_END, holderOf } = require('../support/processes.js')
const { LINUX, onLinux } = require('../support/systems.js')
const { until } = require('../support/waiting.js')

const saysSomething = (child) => until(() => child.stderr.includes('\n'), 'a line on stderr')

test('a wait of more than a second is explained, once, where stderr is no terminal', async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const child = locket(t, [file, 'echo', 'ran'])
  await saysSomething(child)
  const who = LINUX ? `, held by ${holder.pid} \\(.*node.*\\)` : ''
  assert.match(child.stderr, new RegExp(`^locket: waiting for ${file}${who}\n$`))
  const said = child.stderr
  // A second one, which begins to wait now, has said its line before the holder goes.
  await saysSomething(locket(t, [file, 'echo', 'ran']))
  await holder.ask('release')
  assert.equal(await child.line(), 'ran')
  assert.deepEqual(await child.ended(), { ...GOOD_END, stderr: said })
})

test('a wait is not explained with --quiet', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file).acquire()
  const quiet = locket(t, ['--quiet', file, 'echo', 'ran'])
  const other = locket(t, ['-s', file, 'echo', 'ran'])
  await saysSomething(other)
  // It is as late with the quiet one, and as long again.
  await saysSomething(locket(t, ['-s', file, 'echo', 'ran']))
  lock.release()
  assert.equal(await quiet.line(), 'ran')
  assert.equal((await quiet.ended()).stderr, '')
})

test('nothing is said of a wait of less than a second', async (t) => {
  const said = []
  t.mock.timers.enable({ apis: ['setTimeout'] })
  t.mock.method(fs, 'writeSync', (descriptor, text) => said.push([descriptor, String(text)]) && text.length)
  const nobody = { holders: async () => undefined }
  const stop = announceWait(nobody, 'short.lock')
  t.mock.timers.tick(999)
  stop()
  t.mock.timers.tick(9999)
  announceWait(nobody, 'long.lock')
  t.mock.timers.tick(1000)
  await new Promise(setImmediate)
  assert.deepEqual(said, [[2, 'locket: waiting for long.lock\n']])
})

test('a command that comes to the same lock again is told that an ancestor holds it', onLinux, async (t) => {
  const file = temporaryPath(t)
  // With a process between them.
  const child = locket(t, [file, 'sh', '-c', '"$@"; exit 3', 'sh', process.execPath, COMMAND, file, 'echo', 'ran'])
  const { pid } = child
  try {
    await saysSomething(child)
    const line = `^locket: waiting for ${file}, held by ${pid} \\(.+\\); ${pid} is an ancestor of this process\n$`
    assert.match(child.stderr, new RegExp(line))
  } finally {
    // By the shell between them, which it ends. Then the other one has the lock.
    process.kill(pid, 'SIGTERM')
  }
  assert.equal(await child.line(), 'ran')
  assert.equal((await child.ended()).signal, 'SIGTERM')
})

test('the ancestors of a process are its parent and what that descends from', () => {
  const [parent, ...others] = ancestors()
  assert.equal(parent, process.ppid)
  if (process.platform !== 'linux') return assert.deepEqual(others, [])
  return assert.ok(!others.includes(process.pid) && others.length > 0)
})
