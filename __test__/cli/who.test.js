'use strict'

// locket --who: who holds the lock of a file and who waits for it, for people and for scripts.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../..')
const output = require('../../bin/cli/output.js')
const { changed, locket, runLocket } = require('../support/command.js')
const { temporaryPath } = require('../support/folders.js')
const { GOOD_END, holderOf, outcomeOf, waiterOf } = require('../support/processes.js')
const { LINUX, onLinux } = require('../support/systems.js')
const { until } = require('../support/waiting.js')

const FREE = { ...GOOD_END, code: 1, stdout: '' }

test('a file that is not locked, or not there, has no holders: exit code 1, and no output', (t) => {
  const file = temporaryPath(t)
  assert.deepEqual(runLocket(['--who', file]), FREE)
  assert.equal(fs.existsSync(file), false)
  fs.writeFileSync(file, '')
  assert.deepEqual(runLocket(['--who', file]), FREE)
  assert.deepEqual(runLocket(['--who', path.join(file, '../missing/x.lock')]), FREE)
})

test('the holder of an exclusive lock is a line: its pid, the mode, its command', onLinux, async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file)
  const { code, stdout, stderr } = runLocket(['--who', file])
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  const [, pid, mode, command] = /^(\d+) (\w+) (.+)\n$/.exec(stdout)
  assert.deepEqual([Number(pid), mode], [holder.pid, 'exclusive'])
  assert.ok(command.endsWith(`agent.js ${file}`), command)
  await holder.ask('release')
  assert.deepEqual(runLocket(['--who', file]), FREE)
})

test('every holder of a shared lock is a line, in columns', onLinux, async (t) => {
  const file = temporaryPath(t)
  const holders = [await holderOf(t, file, { mode: 'shared' }), await holderOf(t, file, { mode: 'shared' })]
  const { stdout } = runLocket(['--who', file])
  const lines = stdout.trimEnd().split('\n')
  const expected = holders.map(({ pid }) => `${pid} shared`)
  assert.deepEqual(lines.map((line) => line.split(/ +/, 2).join(' ')).sort(), expected.sort())
  const columns = lines.map((line) => [line.indexOf('shared'), line.search(/\S*node/)])
  assert.deepEqual(columns[0], columns[1])
})

test('each process that waits for the lock is a line after the holders, marked as waiting', onLinux, async (t) => {
  const file = temporaryPath(t)
  const holder = await holderOf(t, file, { mode: 'shared' })
  const { waiter } = await waiterOf(t, file)
  const ask = () => runLocket(['--who', file]).stdout.trimEnd().split('\n')
  await until(() => ask().length === 2, 'a wait in the kernel')
  const lines = ask()
  assert.match(lines[0], new RegExp(`^${holder.pid} +shared +\\S`))
  assert.match(lines[1], new RegExp(`^${waiter.pid} +waits-exclusive .*agent\\.js ${file}$`))
  const { locked, holders, waiters } = JSON.parse(runLocket(['--who', '--json', file]).stdout)
  assert.deepEqual([locked, holders.length], [true, 1])
  assert.deepEqual(
    waiters.map(({ pid, mode }) => ({ pid, mode })),
    [{ pid: waiter.pid, mode: 'exclusive' }],
  )
})

test('--json is one line of JSON', async (t) => {
  const file = temporaryPath(t)
  const ask = () => {
    const { code, stdout, stderr } = runLocket(['--who', path.basename(file), '--json'], { cwd: path.dirname(file) })
    assert.equal(stderr, '')
    assert.equal(stdout.indexOf('\n'), stdout.length - 1)
    return { code, ...JSON.parse(stdout) }
  }
  assert.deepEqual(ask(), { code: 1, path: file, locked: false, holders: [], waiters: [] })
  const lock = await lockFile(file).acquire()
  const { holders, ...rest } = ask()
  lock.release()
  assert.deepEqual(rest, { code: 0, path: file, locked: true, waiters: [] })
  if (!LINUX) return
  assert.deepEqual(
    holders.map(({ pid, mode }) => ({ pid, mode })),
    [{ pid: process.pid, mode: 'exclusive' }],
  )
  assert.ok(holders[0].command.includes('node'), holders[0].command)
})

test('the tool itself is named while it runs a command', onLinux, async (t) => {
  const file = temporaryPath(t)
  const child = locket(t, [file, 'sh', '-c', 'echo running; read line'])
  assert.equal(await child.line(), 'running')
  const { holders } = JSON.parse(runLocket(['--who', '--json', file]).stdout)
  assert.deepEqual(
    holders.map(({ pid, mode }) => ({ pid, mode })),
    [{ pid: child.pid, mode: 'exclusive' }],
  )
  assert.ok(holders[0].command.endsWith(`locket.js ${file} sh -c echo running; read line`), holders[0].command)
})

test('a command line cannot add lines, nor command the terminal', onLinux, async (t) => {
  const file = temporaryPath(t)
  const child = locket(t, [file, 'sh', '-c', 'echo running; read line', '4242 shared\n4243 shared\u001b[2J'])
  assert.equal(await child.line(), 'running')
  const { stdout } = runLocket(['--who', file])
  assert.equal(stdout.indexOf('\n'), stdout.length - 1)
  assert.ok(!stdout.includes('\u001b'), stdout)
})

test('a lock whose holder nobody knows: exit code 0, nothing on stdout, a line on stderr', (t) => {
  const file = temporaryPath(t)
  // As everywhere but on Linux: no holders, but a lock.
  const command = changed(
    t,
    `FileLock.prototype.holders = async () => undefined
    FileLock.prototype.isLocked = async () => true`,
  )
  const stderr = `locket: ${file} is locked; it is not known by whom\n`
  assert.deepEqual(outcomeOf(process.execPath, [...command, '--who', file]), { ...GOOD_END, stdout: '', stderr })
  const { stdout } = outcomeOf(process.execPath, [...command, '--who', '--json', file])
  assert.deepEqual(JSON.parse(stdout), { path: file, locked: true, holders: [], waiters: [] })
})

test('a message names a few holders, by their programs, and those that are ancestors', () => {
  const holder = (pid, command) => ({ pid, mode: 'shared', command })
  const heldBy = (holders, ancestors = []) => output.heldBy(holders, ancestors)
  assert.equal(heldBy([]), '')
  assert.equal(heldBy(undefined), '')
  const [above, others] = ['; 2 is an ancestor of this process', [holder(1), holder(2)]]
  assert.equal(heldBy(others, [3, 2]), `, held by 1, 2${above}`)
  assert.equal(heldBy([holder(1)]), ', held by 1')
  assert.equal(heldBy([holder(1, 'node a.js'), holder(2), holder(3, 'b')]), ', held by 1 (node a.js), 2, 3 (b)')
  assert.equal(heldBy([1, 2, 3, 4, 5].map((pid) => holder(pid))), ', held by 1, 2, 3 and 2 more')
  assert.equal(heldBy([holder(1, 'node a.js --token secret')]), ', held by 1 (node a.js)')
})
