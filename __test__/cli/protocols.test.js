'use strict'

// The command with the protocols that lock by existence: running a command, naming the holder, breaking the lock.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { changed, COMMAND, locket, runLocket } = require('../support/command.js')
const { temporaryPath } = require('../support/folders.js')
const { GOOD_END, outcomeOf } = require('../support/processes.js')
const { until } = require('../support/waiting.js')

/** The protocols, with the lock entry of the file `PATH`. */
const ENTRIES = {
  'proper-lockfile': (file) => `${file}.lock`,
  lockfile: (file) => file,
  'soft-file': (file) => file,
  link: (file) => `${file}.lock`,
  mkdir: (file) => `${file}.lock`,
  symlink: (file) => `${file}.lock`,
  'pid-file': (file) => file,
  dotlock: (file) => file,
}

const isThere = (entry) => fs.lstatSync(entry, { throwIfNoEntry: false }) !== undefined

for (const [protocol, entryOf] of Object.entries(ENTRIES)) {
  /** A path to lock, its entry, and the options of the command. */
  const prepare = (t) => {
    const file = temporaryPath(t)
    if (protocol === 'proper-lockfile') fs.writeFileSync(file, '')
    return { file, entry: entryOf(file), options: ['--protocol', protocol] }
  }

  test(`${protocol}: the command runs while the entry is there, and others are kept out`, async (t) => {
    const { file, entry, options } = prepare(t)
    const inner = [process.execPath, COMMAND, '-n', ...options, file, 'true']
    const { code, stderr } = runLocket([...options, file, ...inner])
    assert.equal(code, 1)
    assert.match(stderr, /^locket: failed to get lock of .*, held by \d+.*; \d+ is an ancestor of this process\n$/)
    assert.equal(isThere(entry), false)
    assert.deepEqual(runLocket([...options, file, 'true']), { ...GOOD_END, stdout: '' })
  })

  test(`${protocol}: --who names the holder`, async (t) => {
    const { file, options } = prepare(t)
    const free = { ...GOOD_END, code: 1, stdout: '' }
    assert.deepEqual(runLocket(['--who', ...options, file]), free)
    const lock = await lockFile(file, { protocol }).acquire()
    const { code, stdout, stderr } = runLocket(['--who', ...options, file])
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, new RegExp(`^${process.pid} exclusive .*node.*\n$`))
    lock.release()
    assert.deepEqual(runLocket(['--who', ...options, file]), free)
  })

  test(`${protocol}: --break removes the entry, and says whose it was`, async (t) => {
    const { file, entry, options } = prepare(t)
    const notLocked = { ...GOOD_END, code: 1, stdout: `${file} is not locked\n` }
    assert.deepEqual(runLocket(['--break', ...options, file]), notLocked)
    await lockFile(file, { protocol }).acquire()
    const { code, stdout, stderr } = runLocket(['--break', ...options, file])
    assert.deepEqual([code, stderr], [0, ''])
    assert.ok(stdout.startsWith(`broke the lock of ${file}, held by ${process.pid}`), stdout)
    assert.equal(isThere(entry), false)
    assert.deepEqual(runLocket(['--break', '--quiet', ...options, file]), { ...notLocked, stdout: '' })
  })

  test(`${protocol}: a command whose lock is broken meanwhile ends with a message and exit code 65`, async (t) => {
    const { file, entry, options } = prepare(t)
    const it = locket(t, [...options, file, process.execPath, '-e', 'process.stdin.resume(); console.log("runs")'])
    assert.equal(await it.line(), 'runs')
    fs.rmSync(entry, { recursive: true })
    it.end()
    const { code, stderr } = await it.ended()
    assert.equal(code, 65, stderr)
    assert.match(stderr, /^locket: lost the lock of .*\n$/)
  })
}

test('--timeout ends the wait for a lock by existence', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file, { protocol: 'link' }).acquire()
  const { code, stderr } = runLocket(['-w', '0.05', '--protocol', 'link', file, 'true'])
  assert.equal(code, 1)
  assert.match(stderr, new RegExp(`timeout while waiting to get lock of .*, held by ${process.pid}`))
  lock.release()
})

test('a wait ends with the release', async (t) => {
  const file = temporaryPath(t)
  const lock = await lockFile(file, { protocol: 'mkdir' }).acquire()
  const it = locket(t, ['--protocol', 'mkdir', '--verbose', file, 'echo', 'runs'])
  await until(() => it.stderr.includes('waiting for'), 'the message about the wait')
  lock.release()
  assert.deepEqual((await it.rest()).at(-1), 'runs')
  assert.equal((await it.ended()).code, 0)
})

test('a path that is not there, and has to be, is an error of the file', (t) => {
  const file = temporaryPath(t)
  const { code, stderr } = runLocket(['--protocol', 'proper-lockfile', file, 'true'])
  assert.equal(code, 66, stderr)
  assert.match(stderr, /no such file or directory/)
})

test('a holder on another host is shown with it', (t) => {
  const holders = "[{ pid: 4242, mode: 'exclusive', host: 'otherhost' }]"
  const source = `FileLock.prototype.holders = async () => ${holders}`
  const file = temporaryPath(t)
  const who = outcomeOf(process.execPath, [...changed(t, source), '--who', '--protocol', 'soft-file', file])
  assert.deepEqual(who, { ...GOOD_END, stdout: '4242 exclusive on otherhost\n' })
  const broken = `${source}\nFileLock.prototype.breakLock = async () => true`
  const { stdout } = outcomeOf(process.execPath, [...changed(t, broken), '--break', '--protocol', 'soft-file', file])
  assert.equal(stdout, `broke the lock of ${file}, held by 4242 on otherhost\n`)
})

test('an ancestor of this process on another host is none', () => {
  const { heldBy } = require('../../bin/cli/output.js')
  const holder = { pid: process.pid, mode: 'exclusive' }
  assert.match(heldBy([holder], [process.pid]), /is an ancestor/)
  assert.doesNotMatch(heldBy([{ ...holder, host: 'otherhost' }], [process.pid]), /is an ancestor/)
})
