'use strict'

// The command-line tool and signals: which of them reach the command, how the tool ends when one kills it, and what
// becomes of the lock.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../..')
const {
  eventually,
  isAlive,
  isFree,
  locket,
  outcomeOf,
  staysPending,
  Talker,
  temporaryPath,
  TOOL,
  unavailable,
  until,
  waiterFor,
} = require('../support.js')

const suite = { skip: process.platform === 'win32' && 'Windows has no signals' }

/** Prints its pid, then each signal that it gets; SIGTERM ends it with exit code 5. */
const LISTEN = `
  const signals = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']
  for (const signal of signals) process.on(signal, () => console.log(signal))
  process.on('SIGTERM', () => process.exit(5))
  process.stdin.resume().on('end', () => process.exit())
  console.log(process.pid)`

/** A part of a program: it ends at its first input. */
const UNTIL_TOLD = `process.stdin.once('data', () => process.exit())`

/** What a shell has to do to run the tool so that SIGQUIT leaves no core file. */
const withoutCore = (args) => ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, TOOL, ...args]

const OUTLIVES = path.join(__dirname, '../fixtures/outlives.js')

/** A module for the tool that sends it SIGTERM at the moment when it gets the lock, and tells if a command is started. */
function signalAtGrant(file) {
  const preload = `${file}.preload.js`
  fs.writeFileSync(
    preload,
    `const { FileLock } = require(${JSON.stringify(path.resolve(__dirname, '../..'))})
    const { acquire } = FileLock.prototype
    FileLock.prototype.acquire = async function (options) {
      const lock = await acquire.call(this, options)
      process.kill(process.pid, 'SIGTERM')
      return lock
    }
    const { ChildProcess } = require('child_process')
    ChildProcess.prototype.spawn = () => require('fs').writeSync(2, 'a command is started')`,
  )
  return preload
}

/** Does the kernel's table of locks say that the process is kept waiting for one? */
const waitsInTheKernel = (pid) => new RegExp(`-> FLOCK .* ${pid} `).test(fs.readFileSync('/proc/locks', 'utf8'))

/**
 * The pids of what outlives the tool: killed when the test ends. Asked for before the tool is started, since the hooks
 * of a test run in their order, and the tool's output ends only with them.
 */
function survivorsOf(t) {
  const pids = []
  t.after(() => {
    for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  return pids
}

describe('signals', suite, () => {
  test('that come to the tool while the command runs reach the command', async (t) => {
    // In no terminal's foreground: setsid() by detached.
    const child = locket(t, [temporaryPath(t), process.execPath, '-e', LISTEN], { detached: true })
    await child.line()
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGINT']) {
      process.kill(child.pid, signal)
      assert.equal(await child.line(), signal)
    }
    process.kill(child.pid, 'SIGTERM')
    assert.equal(await child.line(), 'SIGTERM')
    assert.deepEqual(await eventually(child.exited, 'the end'), { code: 5, signal: null, stderr: '' })
  })

  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT']) {
    test(`${signal} that kills the command kills the tool, and the lock is free`, async (t) => {
      const file = temporaryPath(t)
      const child = new Talker(t, 'sh', withoutCore([file, 'sh', '-c', `kill -s ${signal.slice(3)} $$`]))
      assert.deepEqual(await eventually(child.exited, 'the end'), { code: null, signal, stderr: '' })
      assert.equal(await isFree(file), true)
    })
  }

  for (const signal of ['SIGKILL', 'SIGUSR1', 'SIGALRM', 'SIGPIPE']) {
    test(`${signal} that kills the command becomes the exit code 128+N`, async (t) => {
      const file = temporaryPath(t)
      const child = locket(t, [file, 'sh', '-c', `kill -s ${signal.slice(3)} $$`])
      const code = 128 + os.constants.signals[signal]
      assert.deepEqual(await eventually(child.exited, 'the end'), { code, signal: null, stderr: '' })
      assert.equal(await isFree(file), true)
    })
  }

  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
    test(`${signal} ends the tool that still waits, and the command does not run`, async (t) => {
      const file = temporaryPath(t)
      const lock = await lockFile(file).acquire()
      const child = new Talker(t, 'sh', withoutCore(['--quiet', file, 'echo', 'ran']))
      if (process.platform === 'linux') await until(() => waitsInTheKernel(child.pid), 'a wait in the kernel')
      else assert.ok(await staysPending(child.exited, 1000))
      process.kill(child.pid, signal)
      assert.deepEqual(await eventually(child.exited, 'the end'), { code: null, signal, stderr: '' })
      await assert.rejects(child.line(), /ended instead of answering/)
      lock.release()
      assert.equal(await isFree(file), true)
    })
  }

  test('that come between the lock and the command end the tool, and the command does not run', async (t) => {
    const file = temporaryPath(t)
    const child = new Talker(t, process.execPath, ['--require', signalAtGrant(file), TOOL, file, 'echo', 'ran'])
    assert.deepEqual(await eventually(child.exited, 'the end'), { code: null, signal: 'SIGTERM', stderr: '' })
    await assert.rejects(child.line(), /ended instead of answering/)
    assert.equal(await isFree(file), true)
  })

  test('do not reach the command as ignored ones: a closed pipe ends it', async (t) => {
    const child = locket(t, [temporaryPath(t), 'sh', '-c', '(yes; echo "exit code $?" >&2) | head -n 1'])
    assert.equal(await child.line(), 'y')
    assert.deepEqual(await eventually(child.exited, 'the end'), {
      code: 0,
      signal: null,
      stderr: `exit code ${128 + 13}\n`,
    })
  })
})

describe('the first process of a container, which no signal ends by default,', suite, () => {
  const CONTAINER = ['unshare', '--pid', '--fork', '--mount-proc']

  const available = (t) =>
    outcomeOf(CONTAINER[0], [...CONTAINER.slice(1), 'true']).code === 0 ||
    unavailable(t, 'it takes unshare(1) and root')

  /** The tool as such a process, and its pid here. */
  async function inContainer(t, args) {
    const child = new Talker(t, CONTAINER[0], [...CONTAINER.slice(1), process.execPath, ...args])
    const children = `/proc/${child.pid}/task/${child.pid}/children`
    await until(() => /\d/.test(fs.readFileSync(children, 'latin1')), 'a process')
    const pid = Number(fs.readFileSync(children, 'latin1'))
    t.after(() => {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL')
    })
    return { child, pid }
  }

  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
    test(`is ended by ${signal} while it waits, and the command does not run`, async (t) => {
      if (process.platform !== 'linux') return t.skip('containers are Linux’s')
      if (!available(t)) return
      const file = temporaryPath(t)
      const lock = await lockFile(file).acquire()
      const { child, pid } = await inContainer(t, [TOOL, '--quiet', file, 'echo', 'ran'])
      await until(() => waitsInTheKernel(pid), 'a wait in the kernel')
      process.kill(pid, signal)
      const code = 128 + os.constants.signals[signal]
      assert.deepEqual(await eventually(child.exited, 'the end'), { code, signal: null, stderr: '' })
      await assert.rejects(child.line(), /ended instead of answering/)
      lock.release()
      assert.equal(await isFree(file), true)
    })
  }

  test('is ended by a signal between the lock and the command', async (t) => {
    if (process.platform !== 'linux') return t.skip('containers are Linux’s')
    if (!available(t)) return
    const file = temporaryPath(t)
    const { child } = await inContainer(t, ['--require', signalAtGrant(file), TOOL, file, 'echo', 'ran'])
    assert.deepEqual(await eventually(child.exited, 'the end'), { code: 143, signal: null, stderr: '' })
    await assert.rejects(child.line(), /ended instead of answering/)
    assert.equal(await isFree(file), true)
  })
})

describe('the lock', suite, () => {
  test('stays until the command has ended, also when the tool is killed', async (t) => {
    const file = temporaryPath(t)
    const survivors = survivorsOf(t)
    const child = locket(t, [file, process.execPath, OUTLIVES])
    const pid = Number(await child.line())
    survivors.push(pid)
    const { acquired } = await waiterFor(t, file)
    process.kill(child.pid, 'SIGKILL')
    await until(() => !isAlive(child.pid), 'the end of the tool')
    assert.ok(await staysPending(acquired, 100))
    assert.equal(await isFree(file), false)
    process.kill(pid, 'SIGKILL')
    assert.equal(await acquired, 'acquired')
  })

  for (const [how, end, outcome] of [
    ['ended', 'exit 3', { code: 3, signal: null }],
    ['been killed', 'kill -s TERM $$', { code: null, signal: 'SIGTERM' }],
  ]) {
    test(`goes when the command has ${how}, though what it left behind has the file open`, async (t) => {
      const file = temporaryPath(t)
      const survivors = survivorsOf(t)
      const child = locket(t, [file, 'sh', '-c', `"$@" & read line; ${end}`, 'sh', process.execPath, OUTLIVES])
      const pid = Number(await child.line())
      survivors.push(pid)
      if (process.platform === 'linux') assert.equal(fs.readlinkSync(`/proc/${pid}/fd/3`), file)
      const { acquired } = await waiterFor(t, file)
      assert.ok(await staysPending(acquired, 100))
      child.say('end')
      assert.equal(await acquired, 'acquired')
      assert.ok(isAlive(pid))
      process.kill(pid, 'SIGKILL')
      assert.deepEqual(await eventually(child.exited, 'the end'), { ...outcome, stderr: '' })
    })
  }

  test('stays while the tool is told to end and the command takes its time', async (t) => {
    const file = temporaryPath(t)
    const source = `process.on('SIGTERM', () => console.log('cleaning up')); ${UNTIL_TOLD}; console.log('running')`
    const child = locket(t, [file, process.execPath, '-e', source])
    assert.equal(await child.line(), 'running')
    const { acquired } = await waiterFor(t, file)
    process.kill(child.pid, 'SIGTERM')
    assert.equal(await child.line(), 'cleaning up')
    assert.ok(await staysPending(acquired, 100))
    child.say('end')
    assert.equal(await acquired, 'acquired')
    assert.equal((await eventually(child.exited, 'the end')).code, 0)
  })
})
