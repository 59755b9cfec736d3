'use strict'

// The command with --permits: so many commands run at once, over all shells.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { semaphore } = require('../..')
const { parse } = require('../../bin/cli/arguments.js')
const { COMMAND, locket, runLocket } = require('../support/command.js')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { waitsInKernel } = require('../support/kernel.js')
const { freePermits, permitHolder, permitWaiter, takeAll } = require('../support/permits.js')
const { GOOD_END, holderOf } = require('../support/processes.js')
const { LINUX, onLinux, onUnix } = require('../support/systems.js')
const { staysPending, until } = require('../support/waiting.js')

const USAGE = 64

test('--permits takes a number from 1 to 1024, and the options of locks beside it', () => {
  for (const [args, expected] of [
    [['--permits', '4', 'f', 'cmd'], { permits: 4 }],
    [['--permits=1', 'f', 'cmd'], { permits: 1 }],
    [['--perm', '1024', '-n', 'f', 'cmd'], { permits: 1024, timeout: 0 }],
    [['--permits', '2', '-w', '1.5', '-E', '7', 'f', 'cmd'], { permits: 2, timeout: 1500, conflictExitCode: 7 }],
    [['--permits', '2', '-x', 'f', 'cmd'], { permits: 2 }],
  ]) {
    const request = parse(args)
    for (const [name, value] of Object.entries(expected)) assert.equal(request[name], value, `${args}`)
  }
  assert.equal(parse(['--who', 'f', '--permits', '4']).permits, 4)
})

for (const [args, message] of [
  ...['', '0', '-1', '1025', '1e3', '1.5', 'four', '0x4', 'NaN'].map((permits) => [
    ['--permits', permits, 'f', 'cmd'],
    /invalid permits \(1 to 1024\): '/,
  ]),
  [['--permits'], /--permits needs a value/],
  [['--permits', '4', '--shared', 'f', 'cmd'], /--permits does not go with --shared/],
  [['-s', '--permits', '4', '--who', 'f'], /--permits does not go with --shared/],
  [['--permits', '4', '--protocol', 'mkdir', 'f', 'cmd'], /--permits does not go with --protocol/],
  [['--permits', '4', '--protocol', 'flock', 'f', 'cmd'], /--permits does not go with --protocol/],
  [['--permits', '4', '--fcntl', 'f', 'cmd'], /--permits does not go with --protocol/],
  [['--permits', '4', '--break', 'f'], /--permits does not go with --break/],
  [['--permits', '4', '--stale', '5', 'f', 'cmd'], /--stale is not an option/],
]) {
  test(`a command line that is wrong is refused: ${args.map((arg) => arg || "''").join(' ')}`, () => {
    assert.throws(() => parse(args), { message, exitCode: USAGE })
  })
}

/** A command that says that it runs, and ends with its input. */
const WORK = [process.execPath, '-e', "console.log('runs'); process.stdin.on('end', () => process.exit(5)).resume()"]

/** So many such commands, which run. */
async function working(t, file, permits, count) {
  const commands = Array.from({ length: count }, () => locket(t, ['--permits', String(permits), file, ...WORK]))
  for (const each of commands) assert.equal(await each.line(), 'runs')
  return commands
}

test('so many commands run at once, the next one when one has ended, and each exit code is the command’s', async (t) => {
  const file = temporaryPath(t)
  const commands = await working(t, file, 2, 2)
  const next = locket(t, ['--permits', '2', file, ...WORK])
  const runs = next.line()
  runs.catch(() => {})
  assert.ok(await staysPending(runs, 300))
  commands[0].end()
  assert.equal((await commands[0].ended()).code, 5)
  assert.equal(await runs, 'runs')
  for (const each of [commands[1], next]) {
    each.end()
    assert.equal((await each.ended()).code, 5)
  }
  assert.equal(await freePermits(t, file, 2), 2)
})

test('commands and programs share the permits of a file', async (t) => {
  const file = temporaryPath(t)
  const [command] = await working(t, file, 2, 1)
  const permit = await semaphore(file, 2).acquire()
  const { code, stderr } = runLocket(['--permits', '2', '--nonblock', file, 'true'])
  assert.equal(code, 1)
  assert.match(stderr, new RegExp(`^locket: failed to get lock of ${file}`))
  const wait = semaphore(file, 2).acquire()
  assert.ok(await staysPending(wait))
  await command.kill('SIGTERM')
  ;(await wait).release()
  permit.release()
})

test('--nonblock, --timeout and --conflict-exit-code are as for locks, and the holders are named', async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 1)
  const named = LINUX ? `, held by ${holder.pid} \\(.*\\)` : ''
  for (const [options, exitCode, what] of [
    [['-n'], 1, 'failed to get lock'],
    [['-w', '0.05'], 1, 'timeout while waiting to get lock'],
    [['-n', '-E', '75'], 75, 'failed to get lock'],
  ]) {
    const { code, stdout, stderr } = runLocket(['--permits', '1', ...options, file, 'echo', 'ran'])
    assert.deepEqual([code, stdout], [exitCode, ''])
    assert.match(stderr, new RegExp(`^locket: ${what} of ${file}(?:${named})?\n$`))
  }
  assert.deepEqual(runLocket(['--permits', '1', '-n', '--quiet', file, 'true']), { ...GOOD_END, code: 1, stdout: '' })
  assert.equal(await holder.ask('release'), 'released')
  assert.deepEqual(runLocket(['--permits', '1', '-n', file, 'echo', 'ran']), { ...GOOD_END, stdout: 'ran\n' })
})

test('a wait of more than a second is explained by those who have permits', async (t) => {
  const file = temporaryPath(t)
  const holders = [await permitHolder(t, file, 2), await permitHolder(t, file, 2)]
  const child = locket(t, ['--permits', '2', file, 'echo', 'ran'])
  await until(() => child.stderr.includes('\n'), 'a line on stderr')
  assert.ok(child.stderr.startsWith(`locket: waiting for ${file}`), child.stderr)
  if (LINUX) for (const { pid } of holders) assert.match(child.stderr, new RegExp(`\\b${pid} \\(`))
  assert.equal(await holders[1].ask('release'), 'released')
  assert.equal(await child.line(), 'ran')
})

test('another number of permits is an error while the semaphore is in use', async (t) => {
  const file = temporaryPath(t)
  const permit = await semaphore(file, 4).acquire()
  const { code, stdout, stderr } = runLocket(['--permits', '8', file, 'echo', 'ran'])
  assert.deepEqual([code, stdout, stderr], [65, '', `locket: ${file} has 4 permits, not 8, and is in use\n`])
  permit.release()
  assert.deepEqual(runLocket(['--permits', '8', file, 'echo', 'ran']), { ...GOOD_END, stdout: 'ran\n' })
})

test('a file with data, a folder and a missing folder are errors of the file, and nothing is changed', (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, 'data')
  const { code, stderr } = runLocket(['--permits', '2', file, 'true'])
  assert.equal(code, 65)
  assert.match(stderr, /^locket: .* is not the file of a semaphore: .*\n$/)
  assert.equal(fs.readFileSync(file, 'utf8'), 'data')
  const folder = path.dirname(file)
  assert.equal(runLocket(['--permits', '2', folder, 'true']).code, 66)
  assert.equal(runLocket(['--permits', '2', path.join(folder, 'missing/slots'), 'true']).code, 66)
})

test('the command keeps the permit when the tool is killed, until it has ended', onUnix, async (t) => {
  const file = temporaryPath(t)
  // It does not end with its input, which this process closes when the tool has ended.
  const source = 'console.log(process.pid); setInterval(() => {}, 60_000)'
  const tool = locket(t, ['--permits', '1', file, process.execPath, '-e', source])
  const command = Number(await tool.line())
  process.kill(tool.pid, 'SIGKILL')
  const { acquired } = await permitWaiter(t, file, 1)
  assert.ok(await staysPending(acquired, 200))
  process.kill(command, 'SIGKILL')
  assert.equal(await acquired, 'acquired')
})

test('the descriptor that the command gets is that of its slot', onLinux, async (t) => {
  const file = temporaryPath(t)
  const [first] = await takeAll(t, file, 2)
  first.release()
  const { stdout } = runLocket(['--permits', '2', file, 'readlink', '/proc/self/fd/3'])
  assert.equal(stdout, `${file}.1\n`)
})

test('a process that the command leaves behind does not keep the permit', onUnix, async (t) => {
  const file = temporaryPath(t)
  const tool = locket(t, ['--permits', '1', file, 'sh', '-c', 'sleep 60 >/dev/null 2>&1 & echo $!'])
  const left = Number(await tool.line())
  t.after(() => process.kill(left, 'SIGKILL'))
  assert.deepEqual(await tool.ended(), GOOD_END)
  assert.equal(await freePermits(t, file, 1), 1)
})

test(
  '--who lists the holders of permits, once for each, and then those who wait, the first one first',
  onLinux,
  async (t) => {
    const file = temporaryPath(t)
    const who = (...options) => runLocket(['--who', '--permits', '3', ...options, file])
    assert.deepEqual(who(), { ...GOOD_END, code: 1, stdout: '' })
    const holder = await permitHolder(t, file, 3, 2)
    const mine = await semaphore(file, 3).acquire()
    const waiters = []
    for (let i = 0; i < 3; i++) {
      const { waiter } = await permitWaiter(t, file, 3)
      await waitsInKernel(waiter)
      waiters.push(waiter.pid)
    }
    const { code, stdout, stderr } = who()
    assert.deepEqual([code, stderr], [0, ''])
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ +/).slice(0, 2))
    const holds = [holder.pid, holder.pid, process.pid].map((pid) => [String(pid), 'exclusive'])
    assert.deepEqual(rows.slice(0, 3).sort(), holds.sort())
    assert.deepEqual(
      rows.slice(3),
      waiters.map((pid) => [String(pid), 'waits-exclusive']),
    )
    const json = JSON.parse(who('--json').stdout)
    assert.deepEqual([json.path, json.locked, json.holders.length, json.waiters.length], [file, true, 3, 3])
    mine.release()
  },
)

test('--who knows the file of a semaphore by its content, without --permits', onLinux, async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 3, 2)
  const ask = (...args) => runLocket(['--who', ...args])
  const expected = ask('--permits', '3', file)
  assert.equal(expected.stdout.trimEnd().split('\n').length, 2)
  assert.deepEqual(ask(file), expected)
  assert.equal(JSON.parse(ask('--json', file).stdout).holders.length, 2)
  // Who asks for a lock of another kind gets it.
  assert.equal(ask('--fcntl', file).code, 1)
  await holder.kill()
  assert.deepEqual(ask(file), { ...GOOD_END, code: 1, stdout: '' })
})

test('--who asks for the lock of a file whose content is not that of a semaphore', onLinux, async (t) => {
  const file = temporaryPath(t)
  for (const content of [
    '',
    '2 permit\n',
    '0 permits\n',
    '1025 permits\n',
    '2 permits\nmore',
    '2 permits\nt\n',
    ' 2 permits\n',
    'x'.repeat(99),
  ]) {
    fs.writeFileSync(file, content)
    const holder = await holderOf(t, file)
    const { code, stdout } = runLocket(['--who', file])
    assert.deepEqual([code, stdout.split(' ')[0]], [0, String(holder.pid)], content)
    assert.equal(await holder.ask('release'), 'released')
  }
})

test('--who makes no file', (t) => {
  const folder = temporaryFolder(t)
  assert.equal(runLocket(['--who', '--permits', '2', path.join(folder, 'slots')]).code, 1)
  assert.deepEqual(fs.readdirSync(folder), [])
})

test('a command that comes to the same semaphore again is told that an ancestor has the permit', onLinux, async (t) => {
  const file = temporaryPath(t)
  const inner = [process.execPath, COMMAND, '--permits', '1', '-n', file, 'true']
  const { code, stderr } = runLocket(['--permits', '1', file, ...inner])
  assert.equal(code, 1)
  assert.match(stderr, /^locket: failed to get lock of .*, held by \d+.*; \d+ is an ancestor of this process\n$/)
})
