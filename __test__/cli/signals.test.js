'use strict'

// The command-line tool and signals: which of them reach the command, how the tool ends when one kills it, and what
// becomes of the lock.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const { describe, test } = require('node:test')

const { lockFile } = require('../..')
const { changed, COMMAND, locket } = require('../support/command.js')
const { temporaryPath } = require('../support/folders.js')
const { waitsInKernel } = require('../support/kernel.js')
const { isFree } = require('../support/locks.js')
const { GOOD_END, isAlive, outcomeOf, Talker, waiterOf } = require('../support/processes.js')
const { LINUX, onUnix, unavailable } = require('../support/systems.js')
const { staysPending, until } = require('../support/waiting.js')

const { signals } = os.constants

/** Prints its pid, then each signal that it gets; SIGTERM ends it with exit code 5. */
const LISTEN = `
  const signals = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']
  for (const signal of signals) process.on(signal, () => console.log(signal))
  process.on('SIGTERM', () => process.exit(5))
  process.stdin.resume().on('end', () => process.exit())
  console.log(process.pid)`

/** Those that end the tool while it waits. */
const ENDING = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']

/** The tool, run by a shell so that SIGQUIT leaves no core file. */
const withoutCore = (t, ...args) =>
  new Talker(t, 'sh', ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, COMMAND, ...args])

const OUTLIVES = require.resolve('../fixtures/outlives.js')

/** Sends the tool SIGTERM at the moment when it gets the lock, and tells if a command is started. */
const SIGNAL_AT_GRANT = `
  const { acquire } = FileLock.prototype
  FileLock.prototype.acquire = async function (options) {
    const lock = await acquire.call(this, options)
    process.kill(process.pid, 'SIGTERM')
    return lock
  }
  const { ChildProcess } = require('child_process')
  ChildProcess.prototype.spawn = () => require('fs').writeSync(2, 'a command is started')`

/** The tool has ended so, without having run its command, and holds nothing. */
async function endsWithoutRunning(child, file, end) {
  assert.deepEqual(await child.rest(), [])
  assert.deepEqual(await child.ended(), { ...GOOD_END, ...end })
  assert.equal(await isFree(file), true)
}

/**
 * The pids of what outlives the tool: killed when the test ends. Asked for before the tool is started, since the hooks
 * of a test run in their order, and the tool's output ends only with them.
 */
function survivorsOf(t) {
  const pids = []
  t.after(() => pids.filter(isAlive).map((pid) => process.kill(pid, 'SIGKILL')))
  return pids
}

describe('signals', onUnix, () => {
  test('that come to the tool while the command runs reach the command', async (t) => {
    // In no terminal's foreground: setsid() by detached.
    const child = locket(t, [temporaryPath(t), process.execPath, '-e', LISTEN], { detached: true })
    await child.line()
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGINT', 'SIGTERM']) {
      process.kill(child.pid, signal)
      assert.equal(await child.line(), signal)
    }
    assert.deepEqual(await child.ended(), { ...GOOD_END, code: 5 })
  })

  const kills = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'].map((signal) => [signal, { code: null, signal }])
  const codes = ['SIGKILL', 'SIGUSR1', 'SIGALRM', 'SIGPIPE'].map((signal) => [signal, { code: 128 + signals[signal] }])
  for (const [signal, end] of [...kills, ...codes]) {
    test(`${signal} that kills the command ${end.code ? 'becomes the exit code 128+N' : 'kills the tool'}, and the lock is free`, async (t) => {
      const file = temporaryPath(t)
      await endsWithoutRunning(withoutCore(t, file, 'sh', '-c', `kill -s ${signal.slice(3)} $$`), file, end)
    })
  }

  for (const signal of ENDING) {
    test(`${signal} ends the tool that still waits, and the command does not run`, async (t) => {
      const file = temporaryPath(t)
      const lock = await lockFile(file).acquire()
      const child = withoutCore(t, '--quiet', file, 'echo', 'ran')
      if (LINUX) await waitsInKernel(child)
      else assert.ok(await staysPending(child.exited, 1000))
      process.kill(child.pid, signal)
      await child.ended()
      lock.release()
      await endsWithoutRunning(child, file, { code: null, signal })
    })
  }

  test('that come between the lock and the command end the tool, and the command does not run', async (t) => {
    const file = temporaryPath(t)
    const child = new Talker(t, process.execPath, [...changed(t, SIGNAL_AT_GRANT), file, 'echo', 'ran'])
    await endsWithoutRunning(child, file, { code: null, signal: 'SIGTERM' })
  })

  test('do not reach the command as ignored ones: a closed pipe ends it', async (t) => {
    const child = locket(t, [temporaryPath(t), 'sh', '-c', '(yes; echo "exit code $?" >&2) | head -n 1'])
    assert.equal(await child.line(), 'y')
    assert.deepEqual(await child.ended(), { ...GOOD_END, stderr: `exit code ${128 + signals.SIGPIPE}\n` })
  })
})

const CONTAINER = ['--pid', '--fork', '--mount-proc']

describe('the first process of a container, which no signal ends by default,', () => {
  /** A test with the tool as such a process, started by `args`, and its pid here. */
  const inContainer = (name, body) =>
    test(name, async (t) => {
      if (!LINUX) return t.skip('only on Linux')
      if (outcomeOf('unshare', [...CONTAINER, 'true']).code !== 0) return unavailable(t, 'it takes unshare(1) and root')
      const start = async (...args) => {
        const child = new Talker(t, 'unshare', [...CONTAINER, process.execPath, ...args])
        const children = () => fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1')
        await until(() => /\d/.test(children()), 'a process')
        const pid = Number(children())
        t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'))
        return { child, pid }
      }
      await body(temporaryPath(t), start, t)
    })

  for (const signal of ENDING) {
    inContainer(`is ended by ${signal} while it waits, and the command does not run`, async (file, start) => {
      const lock = await lockFile(file).acquire()
      const { child, pid } = await start(COMMAND, '--quiet', file, 'echo', 'ran')
      await waitsInKernel({ pid })
      process.kill(pid, signal)
      await child.ended()
      lock.release()
      await endsWithoutRunning(child, file, { code: 128 + signals[signal] })
    })
  }

  inContainer('is ended by a signal between the lock and the command', async (file, start, t) => {
    const { child } = await start(...changed(t, SIGNAL_AT_GRANT), file, 'echo', 'ran')
    await endsWithoutRunning(child, file, { code: 128 + signals.SIGTERM })
  })
})

describe('the lock', onUnix, () => {
  test('stays until the command has ended, also when the tool is killed', async (t) => {
    const file = temporaryPath(t)
    const survivors = survivorsOf(t)
    const child = locket(t, [file, process.execPath, OUTLIVES])
    const pid = Number(await child.line())
    survivors.push(pid)
    const { acquired } = await waiterOf(t, file)
    process.kill(child.pid, 'SIGKILL')
    await until(() => !isAlive(child.pid), 'the end of the tool')
    assert.ok(await staysPending(acquired, 100))
    assert.equal(await isFree(file), false)
    process.kill(pid, 'SIGKILL')
    assert.equal(await acquired, 'acquired')
  })

  for (const [how, end, outcome] of [
    ['ended', 'exit 3', { code: 3 }],
    ['been killed', 'kill -s TERM $$', { code: null, signal: 'SIGTERM' }],
  ]) {
    test(`goes when the command has ${how}, though what it left behind has the file open`, async (t) => {
      const file = temporaryPath(t)
      const survivors = survivorsOf(t)
      const child = locket(t, [file, 'sh', '-c', `"$@" & read line; ${end}`, 'sh', process.execPath, OUTLIVES])
      const pid = Number(await child.line())
      survivors.push(pid)
      if (LINUX) assert.equal(fs.readlinkSync(`/proc/${pid}/fd/3`), file)
      const { acquired } = await waiterOf(t, file)
      assert.ok(await staysPending(acquired, 100))
      child.say('end')
      assert.equal(await acquired, 'acquired')
      assert.ok(isAlive(pid))
      process.kill(pid, 'SIGKILL')
      assert.deepEqual(await child.ended(), { ...GOOD_END, ...outcome })
    })
  }

  test('stays while the tool is told to end and the command takes its time', async (t) => {
    const file = temporaryPath(t)
    const source = `
      process.on('SIGTERM', () => console.log('cleaning up'))
      process.stdin.once('data', () => process.exit())
      console.log('running')`
    const child = locket(t, [file, process.execPath, '-e', source])
    assert.equal(await child.line(), 'running')
    const { acquired } = await waiterOf(t, file)
    process.kill(child.pid, 'SIGTERM')
    assert.equal(await child.line(), 'cleaning up')
    assert.ok(await staysPending(acquired, 100))
    child.say('end')
    assert.equal(await acquired, 'acquired')
    assert.equal((await child.ended()).code, 0)
  })
})
