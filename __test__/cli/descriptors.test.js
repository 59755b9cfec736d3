'use strict'

// Which descriptors the command gets from the command-line tool: what it has inherited, at its numbers, and the lock's.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { stdioOf } = require('../../bin/cli/descriptors.js')
const { COMMAND } = require('../support/command.js')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { GOOD_END, outcomeOf } = require('../support/processes.js')
const { needing, onLinux, onUnix } = require('../support/systems.js')
const { eventually } = require('../support/waiting.js')

const inBashOnLinux = { skip: onLinux.skip || needing('bash').skip }

/** Runs a line of bash, in which "$@" is the tool with the lock of `file`. */
const inBash = (line, file, options) =>
  outcomeOf('bash', ['-c', line, 'bash', process.execPath, COMMAND, file], { cwd: path.dirname(file), ...options })

describe('descriptors that the tool has inherited reach the command', onUnix, () => {
  test('at their numbers, if they are files', needing('bash'), (t) => {
    const file = temporaryPath(t)
    const line = `echo four >four; exec 4<four 9>nine; "$@" sh -c 'cat <&4; echo written >&9'; cat nine`
    assert.equal(inBash(line, file).stdout, 'four\nwritten\n')
  })

  test('if the shell makes pipes of commands', inBashOnLinux, (t) => {
    const { stdout } = inBash(`exec 5< <(echo five); "$@" sh -c 'cat "$0" /dev/fd/5' <(echo piped)`, temporaryPath(t))
    assert.equal(stdout, 'piped\nfive\n')
  })

  test('if they are sockets', async (t) => {
    const child = spawn(process.execPath, [COMMAND, temporaryPath(t), 'sh', '-c', 'echo through >&4'], {
      stdio: ['ignore', 'ignore', 'inherit', 'ignore', 'pipe'],
    })
    const [data] = await eventually(once(child.stdio[4], 'data'), 'what the command has written')
    assert.equal(String(data), 'through\n')
    assert.deepEqual(await eventually(once(child, 'exit'), 'the end'), [0, null])
  })

  test('and those that Node.js has opened for itself do not', inBashOnLinux, (t) => {
    const file = temporaryPath(t)
    // Without what this process itself hands on.
    const clean = 'for n in $(ls /proc/self/fd); do [ $n -lt 3 ] || eval "exec $n<&-"; done'
    const list = `sh -c 'for n in /proc/$$/fd/*; do readlink $n; done'`
    const links = inBash(`${clean}; exec 5</dev/zero </dev/null 2>&1; "$@" ${list}`, file).stdout.trimEnd().split('\n')
    const [stdin, stdout, stderr, lock, zero, ...others] = links
    assert.deepEqual([stdin, lock, zero, others], ['/dev/null', file, '/dev/zero', []], links.join(' '))
    assert.equal(stdout, stderr)
  })
})

test('the lock’s descriptor comes where no other one is, nor one of a jobserver that is named', () => {
  const inherit = ['inherit', 'inherit', 'inherit']
  assert.deepEqual(stdioOf([], undefined, {}), inherit)
  assert.deepEqual(stdioOf([], 20, {}), [...inherit, 20])
  assert.deepEqual(stdioOf([3, 4, 7], 20, {}), [...inherit, 3, 4, 20, 'ignore', 7])
  for (const [name, flags] of [
    ['MAKEFLAGS', ' -j4 --jobserver-auth=3,4'],
    ['MAKEFLAGS', ' --jobserver-fds=3,4 -j'],
    ['CARGO_MAKEFLAGS', '-j --jobserver-fds=3,4 --jobserver-auth=3,4'],
  ]) {
    assert.deepEqual(stdioOf([], 20, { [name]: flags }), [...inherit, 'ignore', 'ignore', 20], flags)
  }
  assert.deepEqual(stdioOf([], 20, { MAKEFLAGS: ' -j4 --jobserver-auth=fifo:/tmp/3,4' }), [...inherit, 20])
  assert.deepEqual(stdioOf([], 20, { MAKEFLAGS: ' -j4 --jobserver-auth=-2,-2' }), [...inherit, 20])
})

describe('make', onLinux, () => {
  /** Two jobs that need each other to run at the same time. Tells which of them has waited in vain. */
  const MAKEFILE = `
both: one two
one two:
	@touch $@.begun; for i in $$(seq 1000); do [ -e one.begun -a -e two.begun ] && exit; sleep 0.01; done; exit 1
with:
	+@$(LOCKET) $(MAKE) --no-print-directory both
without:
	@$(LOCKET) sh -c 'for n in $$(echo "$$MAKEFLAGS" | tr -c 0-9 " "); do [ ! -e /proc/$$$$/fd/$$n ] || readlink /proc/$$$$/fd/$$n; done'
`

  function make(t, target) {
    const folder = temporaryFolder(t)
    fs.writeFileSync(path.join(folder, 'Makefile'), MAKEFILE)
    const env = { ...process.env, LOCKET: `${process.execPath} ${COMMAND} test.lock` }
    for (const name of ['MAKEFLAGS', 'MFLAGS', 'MAKELEVEL']) delete env[name]
    return outcomeOf('make', ['-j3', target], { cwd: folder, env })
  }

  test('shares its jobs with a make that the tool runs', needing('make'), (t) => {
    assert.deepEqual(make(t, 'with'), { ...GOOD_END, stdout: '' })
  })

  test('that keeps its jobs to itself finds no other descriptors in their place', needing('make'), (t) => {
    const { code, stdout } = make(t, 'without')
    // Of this process’s own, which are nobody’s jobs.
    const pipes = stdout.split('\n').filter((line) => line.startsWith('pipe:') || line.endsWith('.lock'))
    assert.deepEqual([code, pipes], [0, []])
  })
})

describe('socket activation', onUnix, () => {
  /** Starts the tool as systemd does, with a descriptor 3 and its pid; returns what the command says. */
  function activated(t, pid, command) {
    const variables = `LISTEN_PID=${pid} WATCHDOG_PID=${pid} LISTEN_PIDFDID=1 LISTEN_FDS=1 a-b=x`
    const line = `exec env ${variables} "$@" 3</dev/zero`
    return outcomeOf('sh', ['-c', line, 'sh', process.execPath, COMMAND, temporaryPath(t), ...command])
  }

  /** Says whether they are its own, what else it has been told, and the kind of descriptor 3. */
  const TELL = [
    'sh',
    '-c',
    'echo $(($$ == LISTEN_PID)) $(($$ == WATCHDOG_PID)) $LISTEN_FDS $LISTEN_PIDFDID; [ -c /dev/fd/3 ] && echo "$@"',
    'sh',
    'a  b',
    '*',
  ]

  test('of the tool is one of the command: it gets the descriptors, and its own pid', (t) => {
    assert.deepEqual(activated(t, '$$', TELL), { ...GOOD_END, stdout: '1 1 1\na  b *\n' })
  })

  test('of another process is left alone', (t) => {
    assert.equal(activated(t, '1', TELL).stdout, '0 0 1 1\na  b *\n')
  })

  test('does not change how a command fails, or what else its environment is', (t) => {
    const { code, stderr } = activated(t, '$$', ['./missing'])
    assert.equal(code, 69, stderr)
    assert.match(stderr, /^locket: failed to execute \.\/missing: /)
    const { stdout } = activated(t, '$$', [process.execPath, '-p', 'process.env["a-b"] + process.env.LISTEN_FDS'])
    assert.equal(stdout, 'x1\n')
  })
})
