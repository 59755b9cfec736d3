'use strict'

// The command-line tool at a terminal: whom it says that it waits for, and what the keys do. Python makes the terminal.

const assert = require('node:assert/strict')
const os = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../..')
const { eventually, isAlive, needs, staysPending, Talker, temporaryPath, TOOL } = require('../support.js')

const suite = { skip: process.platform === 'win32' && 'Windows has other terminals' }

/** Added to the number of a signal that kills, so that it is no exit code that anything else has. */
const KILLED_BY = 200

/** Runs a command at a terminal of its own: what comes by stdin is typed there, what it shows goes to stdout. */
const TERMINAL = `
import os, pty, sys
code = os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:]))
sys.exit(code if code >= 0 else ${KILLED_BY} - code)`

const CONTROL_C = '\u0003'

const { SIGINT } = os.constants.signals

const available = (t) => needs(t, 'python3')

/** The same, with a line of the shell; in it "$@" is `command`. Nothing that is typed is shown. */
const atTerminal = (t, line, command, options) =>
  new Talker(t, 'python3', ['-c', TERMINAL, 'sh', '-c', `stty -echo; ${line}`, 'sh', ...command], options)

const tool = (...args) => [process.execPath, TOOL, ...args]

/** All that the terminal has shown, and the exit code. */
async function outcome(talker) {
  const lines = await talker.rest()
  const { code } = await eventually(talker.exited, 'the end')
  return { code, lines }
}

const who = process.platform === 'linux' ? `, held by ${process.pid} \\(.*node.*\\).*` : ''

describe('at a terminal', suite, () => {
  test('a wait of more than a second is explained, once', async (t) => {
    if (!available(t)) return
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = atTerminal(t, 'exec "$@"', tool(file, 'echo', 'ran'))
    assert.match(await child.line(), new RegExp(`^locket: waiting for ${file}${who}$`))
    const next = child.line()
    assert.ok(await staysPending(next, 1500))
    lock.release()
    assert.equal(await next, 'ran')
    assert.deepEqual(await outcome(child), { code: 0, lines: [] })
  })

  test('a wait is explained by the path as it was given, and goes on', async (t) => {
    if (!available(t)) return
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = atTerminal(t, 'exec "$@"', tool('./test.lock', 'echo', 'ran'), { cwd: path.dirname(file) })
    assert.match(await child.line(), new RegExp(`^locket: waiting for \\./test\\.lock${who}$`))
    lock.release()
    assert.deepEqual(await outcome(child), { code: 0, lines: ['ran'] })
  })

  test('a wait is explained though stdout is no terminal, since stderr is one', async (t) => {
    if (!available(t)) return
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = atTerminal(t, '"$@" >/dev/null', tool(file, 'echo', 'ran'))
    assert.match(await child.line(), new RegExp(`^locket: waiting for ${file}${who}$`))
    lock.release()
    assert.deepEqual(await outcome(child), { code: 0, lines: [] })
  })

  test('nothing is said while the command runs', async (t) => {
    if (!available(t)) return
    const child = atTerminal(t, 'exec "$@"', tool(temporaryPath(t), 'sh', '-c', 'echo running; sleep 1.3'))
    assert.deepEqual(await outcome(child), { code: 0, lines: ['running'] })
  })

  /** Prints the pid of the tool, then each signal that it gets; SIGTERM ends it, or else a minute. */
  const LISTEN = `
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => console.log(signal))
    process.on('SIGTERM', () => process.exit(5))
    setTimeout(() => process.exit(), 60_000)
    console.log(String(process.ppid))`

  test('^C reaches the command exactly once, and the tool stays until it has ended', async (t) => {
    if (!available(t)) return
    const child = atTerminal(t, 'exec "$@"', tool(temporaryPath(t), process.execPath, '-e', LISTEN))
    const pid = Number(await child.line())
    for (let time = 0; time < 3; time++) {
      // The tool comes to see it only when the command has dealt with it: the kernel makes one of two that are pending.
      process.kill(pid, 'SIGSTOP')
      child.say(CONTROL_C)
      assert.equal(await child.line(), 'SIGINT')
      process.kill(pid, 'SIGCONT')
    }
    // It is passed on after all SIGINTs that would have been.
    process.kill(pid, 'SIGTERM')
    assert.deepEqual(await outcome(child), { code: 5, lines: ['SIGTERM'] })
  })

  test('^C that kills the command kills the tool, so that a script of bash stops there', async (t) => {
    if (!available(t)) return
    const child = atTerminal(t, 'exec "$@"', tool(temporaryPath(t), 'sh', '-c', 'echo running; exec sleep 60'))
    assert.equal(await child.line(), 'running')
    child.say(CONTROL_C)
    assert.deepEqual(await outcome(child), { code: KILLED_BY + SIGINT, lines: [] })
  })

  test('^C ends the tool that still waits', async (t) => {
    if (!available(t)) return
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = atTerminal(t, 'exec "$@"', tool(file, 'echo', 'ran'))
    assert.match(await child.line(), /^locket: waiting for /)
    child.say(CONTROL_C)
    assert.deepEqual(await outcome(child), { code: KILLED_BY + SIGINT, lines: [] })
    lock.release()
  })

  test('a SIGINT for the tool in the background reaches the command', async (t) => {
    if (!available(t)) return
    if (process.platform !== 'linux') return t.skip('only Linux tells who is in the foreground')
    const command = tool(temporaryPath(t), process.execPath, '-e', LISTEN)
    // A job of its own, with a process group that the terminal's keys do not reach, nor its end.
    const child = atTerminal(t, 'set -m; "$@" </dev/null & wait $!', command)
    const pid = Number(await child.line())
    t.after(() => {
      if (isAlive(pid)) process.kill(pid)
    })
    process.kill(pid, 'SIGINT')
    assert.equal(await child.line(), 'SIGINT')
    process.kill(pid, 'SIGTERM')
    assert.equal(await child.line(), 'SIGTERM')
    assert.equal((await eventually(child.exited, 'the end')).code, 5)
  })
})
