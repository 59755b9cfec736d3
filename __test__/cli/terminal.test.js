'use strict'

// The command-line tool at a terminal: whom it says that it waits for, and what the keys do. Python makes the terminal.

const assert = require('node:assert/strict')
const os = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../..')
const { COMMAND } = require('../support/command.js')
const { temporaryPath } = require('../support/folders.js')
const { isAlive, Talker } = require('../support/processes.js')
const { LINUX, needing, onUnix } = require('../support/systems.js')
const { staysPending } = require('../support/waiting.js')

/** Added to the number of a signal that kills, so that it is no exit code that anything else has. */
const KILLED_BY = 200

/** Runs a command at a terminal of its own: what comes by stdin is typed there, what it shows goes to stdout. */
const TERMINAL = `
import os, pty, sys
code = os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:]))
sys.exit(code if code >= 0 else ${KILLED_BY} - code)`

const CONTROL_C = '\u0003'

const { SIGINT } = os.constants.signals

/** The tool with these arguments at a terminal, started by a line of the shell as "$@". Nothing that is typed is shown. */
function atTerminal(t, args, { line = 'exec "$@"', ...options } = {}) {
  const command = ['sh', '-c', `stty -echo; ${line}`, 'sh', process.execPath, COMMAND, ...args]
  return new Talker(t, 'python3', ['-c', TERMINAL, ...command], options)
}

/** It shows these lines, and nothing else, and ends with this exit code. */
async function showsAndEnds(child, lines, code = 0) {
  assert.deepEqual(await child.rest(), lines)
  assert.equal((await child.ended()).code, code)
}

const who = LINUX ? `, held by ${process.pid} \\(.*node.*\\).*` : ''
const waitingFor = (file) => new RegExp(`^locket: waiting for ${file.replaceAll('.', '\\.')}${who}$`)

/** Prints the pid of the tool, then each signal that it gets; SIGTERM ends it, or else a minute. */
const LISTEN = `
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => console.log(signal))
  process.on('SIGTERM', () => process.exit(5))
  setTimeout(() => process.exit(), 60_000)
  console.log(String(process.ppid))`

// Most of it is waiting for the second after which a wait is explained.
describe('at a terminal', { skip: onUnix.skip || needing('python3').skip, concurrency: 4 }, () => {
  test('a wait of more than a second is explained, once', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = atTerminal(t, [file, 'echo', 'ran'])
    assert.match(await child.line(), waitingFor(file))
    const next = child.line()
    assert.ok(await staysPending(next, 1500))
    lock.release()
    assert.equal(await next, 'ran')
    await showsAndEnds(child, [])
  })

  test('a wait is explained by the path as it was given, and goes on', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = atTerminal(t, ['./test.lock', 'echo', 'ran'], { cwd: path.dirname(file) })
    assert.match(await child.line(), waitingFor('./test.lock'))
    lock.release()
    await showsAndEnds(child, ['ran'])
  })

  test('a wait is explained though stdout is no terminal, since stderr is one', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = atTerminal(t, [file, 'echo', 'ran'], { line: '"$@" >/dev/null' })
    assert.match(await child.line(), waitingFor(file))
    lock.release()
    await showsAndEnds(child, [])
  })

  test('nothing is said while the command runs', async (t) => {
    const child = atTerminal(t, [temporaryPath(t), 'sh', '-c', 'echo running; sleep 1.3'])
    await showsAndEnds(child, ['running'])
  })

  test('^C reaches the command exactly once, and the tool stays until it has ended', async (t) => {
    const child = atTerminal(t, [temporaryPath(t), process.execPath, '-e', LISTEN])
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
    await showsAndEnds(child, ['SIGTERM'], 5)
  })

  test('^C that kills the command kills the tool, so that a script of bash stops there', async (t) => {
    const child = atTerminal(t, [temporaryPath(t), 'sh', '-c', 'echo running; exec sleep 60'])
    assert.equal(await child.line(), 'running')
    child.say(CONTROL_C)
    await showsAndEnds(child, [], KILLED_BY + SIGINT)
  })

  test('^C ends the tool that still waits', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = atTerminal(t, [file, 'echo', 'ran'])
    assert.match(await child.line(), waitingFor(file))
    child.say(CONTROL_C)
    await showsAndEnds(child, [], KILLED_BY + SIGINT)
    lock.release()
  })

  test('a SIGINT for the tool in the background reaches the command', async (t) => {
    if (!LINUX) return t.skip('only Linux tells who is in the foreground')
    // A job of its own, with a process group that the terminal's keys do not reach, nor its end.
    const line = 'set -m; "$@" </dev/null & wait $!'
    const child = atTerminal(t, [temporaryPath(t), process.execPath, '-e', LISTEN], { line })
    const pid = Number(await child.line())
    t.after(() => isAlive(pid) && process.kill(pid))
    process.kill(pid, 'SIGINT')
    assert.equal(await child.line(), 'SIGINT')
    process.kill(pid, 'SIGTERM')
    assert.equal(await child.line(), 'SIGTERM')
    assert.equal((await child.ended()).code, 5)
  })
})
