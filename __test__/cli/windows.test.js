'use strict'

// How the command-line tool finds a command on Windows, and what it writes for cmd.exe. These are pure functions, so
// they are tested everywhere.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')

const { hasItAlready, signalsOn } = require('../../bin/cli/signals.js')
const { startOfCommand, startOfLine } = require('../../bin/cli/windows.js')

const COMSPEC = 'C:\\Windows\\system32\\cmd.exe'
const ENV = { PATH: 'C:\\one;"C:\\a;b";C:\\two', PATHEXT: '.COM;.EXE;.BAT;.CMD', ComSpec: COMSPEC }

/** What is started for `command` where there are `files`. */
function start(command, files, env = ENV) {
  return startOfCommand(command, { env, exists: (file) => files.includes(file) })
}

/** The line that cmd.exe gets, without what stands around it. */
function lineFor(args, file = 'C:\\one\\npm.CMD') {
  const { args: all, verbatim } = start([file, ...args], [file])
  assert.equal(verbatim, true)
  assert.deepEqual(all.slice(0, -1), ['/d', '/e:on', '/v:off', '/s', '/c'])
  const line = all.at(-1)
  const before = `""${file}" `
  assert.ok(line.startsWith(before) && line.endsWith('"'), line)
  return line.slice(before.length, -1)
}

describe('a command on Windows', () => {
  test('is found by PATH and PATHEXT, in their order', () => {
    const files = ['C:\\two\\tool.EXE', 'C:\\two\\tool.COM', 'C:\\one\\other.EXE']
    assert.deepEqual(start(['tool', 'x'], files), { file: 'C:\\two\\tool.COM', args: ['x'] })
    assert.deepEqual(start(['tool'], ['C:\\one\\tool.EXE', ...files]), { file: 'C:\\one\\tool.EXE', args: [] })
    assert.deepEqual(start(['tool'], ['C:\\a;b\\tool.EXE', ...files]), { file: 'C:\\a;b\\tool.EXE', args: [] })
  })

  test('is found in the working folder first, unless Windows was told not to', () => {
    const files = ['tool.EXE', 'C:\\one\\tool.EXE']
    assert.equal(start(['tool'], files).file, 'tool.EXE')
    assert.equal(start(['tool'], files, { ...ENV, NoDefaultCurrentDirectoryInExePath: '1' }).file, 'C:\\one\\tool.EXE')
  })

  test('is not found without an extension, as npm puts scripts for Unix beside its .cmd files', () => {
    assert.equal(start(['tsc'], ['C:\\one\\tsc', 'C:\\one\\tsc.CMD']).file, COMSPEC)
  })

  test('is found with its extension, or with one more', () => {
    assert.equal(start(['tool.exe'], ['C:\\two\\tool.exe.COM', 'C:\\two\\tool.exe']).file, 'C:\\two\\tool.exe')
    assert.equal(start(['tool.v2'], ['C:\\two\\tool.v2.EXE']).file, 'C:\\two\\tool.v2.EXE')
  })

  test('that is a path is not looked for elsewhere', () => {
    assert.equal(start(['.\\tool'], ['tool.EXE', '.\\tool.EXE', 'C:\\one\\tool.EXE']).file, 'tool.EXE')
    assert.equal(start(['bin/tool'], ['bin\\tool.EXE', 'C:\\one\\bin\\tool.EXE']).file, 'bin\\tool.EXE')
    assert.equal(start(['bin/tool'], ['C:\\one\\bin\\tool.EXE']).file, 'bin/tool')
  })

  test('that is not found is left to the system to refuse', () => {
    assert.deepEqual(start(['missing', 'x'], []), { file: 'missing', args: ['x'] })
  })

  test('is found without PATH and PATHEXT, too', () => {
    assert.deepEqual(start(['tool'], ['tool.EXE'], {}), { file: 'tool.EXE', args: [] })
    assert.equal(start(['tool'], ['tool.CMD'], {}).file, 'cmd.exe')
  })
})

describe('a .cmd file on Windows', () => {
  test('is run by cmd.exe, from a line that nothing else takes apart', () => {
    const expected = {
      file: COMSPEC,
      args: ['/d', '/e:on', '/v:off', '/s', '/c', '""C:\\one\\npm.CMD" "run" "build""'],
      verbatim: true,
    }
    assert.deepEqual(start(['npm', 'run', 'build'], ['C:\\one\\npm.CMD']), expected)
  })

  const QUOTED = [
    ['', '""'],
    ['a b', '"a b"'],
    ['a&b|c<d>e^f', '"a&b|c<d>e^f"'],
    ['!x! (y)', '"!x! (y)"'],
    ['"', '""""'],
    ['say "hi" & go', '"say ""hi"" & go"'],
    ['C:\\dir\\', '"C:\\dir\\\\"'],
    ['\\"', '"\\\\"""'],
    ['a\\b', '"a\\b"'],
    ['100%', '"100%%cd:~,%"'],
    ['%PATH%', '"%%cd:~,%PATH%%cd:~,%"'],
  ]

  for (const [argument, quoted] of QUOTED) {
    test(`gets an argument as it is: ${argument || 'an empty one'}`, () => assert.equal(lineFor([argument]), quoted))
  }

  test('cannot be given a line break, which cmd.exe would take for the end', () => {
    for (const argument of ['a\nb', 'a\rb']) {
      assert.throws(() => lineFor([argument]), { message: /line break/, exitCode: 69 })
    }
  })
})

test('on Windows Ctrl-Break is left to the command, as Ctrl-C is, and nothing keeps either from ending a wait', () => {
  const { duringWait, duringCommand } = signalsOn('win32')
  assert.deepEqual(duringWait, [])
  for (const signal of ['SIGINT', 'SIGBREAK', 'SIGHUP']) assert.ok(duringCommand.includes(signal), signal)
  assert.ok(!signalsOn('linux').duringCommand.includes('SIGBREAK'))
  assert.equal(hasItAlready('SIGBREAK', 'win32'), true)
})

test('a line for the shell of Windows goes to cmd.exe as it is', () => {
  const expected = { file: COMSPEC, args: ['/d', '/e:on', '/v:off', '/s', '/c', '"a "b" | c"'], verbatim: true }
  assert.deepEqual(startOfLine('a "b" | c', { env: ENV }), expected)
  assert.equal(startOfLine('x', { env: {} }).file, 'cmd.exe')
})
