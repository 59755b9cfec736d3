'use strict'

// How the command-line tool reads its command line, and what it says of one that is wrong.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const { OPTIONS: KNOWN, parse } = require('../../bin/cli/arguments.js')
const { version } = require('../../package.json')
const { runLocket } = require('../support/command.js')
const { temporaryFolder } = require('../support/folders.js')
const { GOOD_END } = require('../support/processes.js')

const USAGE = 64

/** What is to be done if no option says otherwise. */
const PLAIN = { action: 'run', mode: 'exclusive', timeout: Infinity, conflictExitCode: 1, file: 'f', command: ['cmd'] }

/** Options before `f cmd`, and in what the request differs from PLAIN. The rules for names and values: fuzz.test.js. */
const OPTIONS = [
  [[], {}],
  [['-s', '-x'], {}],
  [['--exclusive', '--shared'], { mode: 'shared' }],
  [['--nonblock'], { nonblock: true, timeout: 0 }],
  [['--nonb'], { nonblock: true, timeout: 0 }],
  [['-w.25'], { timeout: 250 }],
  [['-w', '2.'], { timeout: 2000 }],
  [['-w', '1e1'], { timeout: 10_000 }],
  [['-w', '0'], { timeout: 0 }],
  [['-w', '1', '-w', '2'], { timeout: 2000 }],
  [['-n', '-w', '5'], { nonblock: true, timeout: 0 }],
  [['-E', '0'], { conflictExitCode: 0 }],
  [['--verbose', '--quiet'], { verbosity: 'quiet' }],
  [['-nsE7'], { nonblock: true, timeout: 0, mode: 'shared', conflictExitCode: 7 }],
  [['--fcntl'], { protocol: 'fcntl' }],
  [['--protocol', 'mkdir'], { protocol: 'mkdir' }],
  [['--protocol=lockfile', '--stale', '60', '--update=2.5'], { protocol: 'lockfile', stale: 60_000, update: 2500 }],
  [['--'], {}],
  [['-s', '--'], { mode: 'shared' }],
]

for (const [options, difference] of OPTIONS) {
  test(`options are understood: ${options.join(' ') || 'none'}`, () => {
    assert.deepEqual(parse([...options, 'f', 'cmd']), { ...PLAIN, ...difference })
  })
}

/** What follows the options, and what it means. */
const COMMANDS = [
  [['f', 'cmd', '-n', '--help', '--', '-c', 'x'], { file: 'f', command: ['cmd', '-n', '--help', '--', '-c', 'x'] }],
  [['f', '--', 'cmd', '-s'], { file: 'f', command: ['cmd', '-s'] }],
  [['f', '--', '-c'], { file: 'f', command: ['-c'] }],
  [['f', '--', '--', 'x'], { file: 'f', command: ['--', 'x'] }],
  [['f', '-c', 'a | b'], { file: 'f', line: 'a | b' }],
  [['f', '--command', 'a | b'], { file: 'f', line: 'a | b' }],
  [['f', '-n', 'x'], { file: 'f', command: ['-n', 'x'] }],
  [['--', '-n', 'cmd'], { file: '-n', command: ['cmd'] }],
  [['--', '--excl', '--excl'], { file: '--excl', command: ['--excl'] }],
  [['-', 'cmd', ''], { file: '-', command: ['cmd', ''] }],
]

for (const [args, expected] of COMMANDS) {
  test(`the options end at FILE: ${args.join(' ')}`, () => {
    const { file, command, line } = parse(args)
    assert.deepEqual({ file, command, line }, { command: undefined, line: undefined, ...expected })
  })
}

test('--who takes FILE, and --json before or after it', () => {
  for (const args of [
    ['--who', '--json', 'f'],
    ['--who', 'f', '--json'],
    ['--json', '--who', 'f'],
  ]) {
    const { action, file, json } = parse(args)
    assert.deepEqual({ action, file, json }, { action: 'who', file: 'f', json: true }, args.join(' '))
  }
})

test('--break takes FILE, and options before or after it', () => {
  for (const args of [
    ['--break', '--protocol', 'link', 'f'],
    ['--break', 'f', '--protocol', 'link'],
  ]) {
    const { action, file, protocol } = parse(args)
    assert.deepEqual({ action, file, protocol }, { action: 'break', file: 'f', protocol: 'link' }, args.join(' '))
  }
})

/** Command lines that are wrong, and what is said of them. */
const WRONG = [
  [[], /FILE is missing/],
  [['-n'], /FILE is missing/],
  [['--who'], /FILE is missing/],
  [['f'], /COMMAND is missing/],
  [['f', '--'], /COMMAND is missing/],
  [['9'], /COMMAND is missing.*descriptor.*9/],
  [['f', '-c'], /-c takes exactly one argument/],
  [['f', '-c', 'a', 'b'], /-c takes exactly one argument/],
  [['f', '--command'], /--command takes exactly one argument/],
  [['-c', 'a', 'f'], /-c.*after FILE/],
  [['--zzz', 'f', 'cmd'], /unknown option --zzz/],
  [['--toString', 'f', 'cmd'], /unknown option --toString/],
  [['-z', 'f', 'cmd'], /unknown option -z/],
  [['-nz', 'f', 'cmd'], /unknown option -z/],
  [['--no', 'f', 'cmd'], /--no may be --nonblock or --nonblocking or --no-fork/],
  [['-w'], /-w needs a value/],
  [['--timeout'], /--timeout needs a value/],
  [['--shared=1', 'f', 'cmd'], /--shared takes no value/],
  [['-nw', 'f', 'cmd'], /invalid timeout: 'f'/],
  ...['', ' ', '.', '-1', 'NaN', 'inf', 'Infinity', '1e999', '0x5', '5s', '1,5', '1.2.3'].map((seconds) => [
    ['-w', seconds, 'f', 'cmd'],
    /invalid timeout: '/,
  ]),
  ...['', '256', '-1', '7x', '0x10', '1.5', 'NaN'].map((code) => [['-E', code, 'f', 'cmd'], /invalid exit code/]),
  [['-u', 'f', 'cmd'], /-u, --unlock is not supported/],
  [['--unlock', 'f', 'cmd'], /-u, --unlock is not supported/],
  [['-F', 'f', 'cmd'], /-F, --no-fork is not supported/],
  [['-o', 'f', 'cmd'], /-o, --close is not supported/],
  [['--json', 'f', 'cmd'], /--json goes with --who/],
  [['--who', 'f', 'cmd'], /--who takes one FILE, and no command: cmd/],
  [['--break', '--protocol', 'link', 'f', 'cmd'], /--break takes one FILE, and no command: cmd/],
  [['--break', '--protocol', 'link', '--json', 'f'], /--json goes with --who/],
  [['--protocol', 'lockf', 'f', 'cmd'], /--protocol must be one of: 'flock', .*'dotlock'\. Received 'lockf'/],
  [['--protocol'], /--protocol needs a value/],
  [['--fcntl=1', 'f', 'cmd'], /--fcntl takes no value/],
  [['--stale', 'soon', 'f', 'cmd'], /invalid stale: 'soon'/],
  [['--update', '-1', 'f', 'cmd'], /invalid update: '-1'/],
  [['--stale', '5', 'f', 'cmd'], /--stale is not an option of the protocol 'flock'/],
  [['--fcntl', '--update', '5', '--who', 'f'], /--update is not an option of the protocol 'fcntl'/],
  [
    ['--protocol', 'proper-lockfile', '--stale', '1', 'f', 'cmd'],
    /--stale .*>= 2000 .*Received 1000 \(in milliseconds\)/,
  ],
  [['--protocol', 'mkdir', '--shared', 'f', 'cmd'], /--shared: the protocol 'mkdir' has no shared locks/],
  [['--break', 'f'], /--break takes a --protocol that locks by existence/],
  [['--break', '--fcntl', 'f'], /--break takes a --protocol that locks by existence/],
]

for (const [args, message] of WRONG) {
  test(`a command line that is wrong is refused: ${args.map((arg) => arg || "''").join(' ') || 'none'}`, () => {
    assert.throws(() => parse(args), { message, exitCode: USAGE })
  })
}

test('a usage error is one line on stderr, exit code 64, and touches nothing', (t) => {
  const folder = temporaryFolder(t)
  for (const args of [[], ['f'], ['--zzz', 'f', 'true'], ['-u', 'f', 'true'], ['-w', 'soon', 'f', 'true']]) {
    const { code, stdout, stderr } = runLocket(args, { cwd: folder })
    assert.equal(code, USAGE, stderr)
    assert.equal(stdout, '')
    assert.match(stderr, /^locket: .+ \(try 'locket --help'\)\n$/)
  }
  assert.deepEqual(fs.readdirSync(folder), [])
})

test('--help fits on a screen and names every option that the parser knows', (t) => {
  for (const option of ['--help', '-h']) {
    const { code, stdout, stderr } = runLocket([option, '--zzz'], { cwd: temporaryFolder(t) })
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    const lines = stdout.split('\n')
    assert.ok(lines.length <= 24, `${lines.length} lines`)
    for (const line of lines) assert.ok(line.length <= 80, line)
    const named = new Set(stdout.match(/(?<![\w-])--?\w[\w-]*/g))
    for (const [name, { short }] of Object.entries(KNOWN)) {
      if (name.length > 1) assert.ok(named.has(`--${name}`), name)
      if (short !== undefined) assert.ok(named.has(`-${short}`), short)
    }
  }
})

test('--version says the version of the package', () => {
  for (const option of ['--version', '-V']) {
    assert.deepEqual(runLocket([option]), { ...GOOD_END, stdout: `locket ${version}\n` })
  }
})

test('an option that is wrong counts if it stands before --help', (t) => {
  const { code, stdout } = runLocket(['--zzz', '--help'], { cwd: temporaryFolder(t) })
  assert.deepEqual({ code, stdout }, { code: USAGE, stdout: '' })
})
