'use strict'

// What is not UTF-8 reaches the lock and the command as it is, or the command-line tool refuses it. A shell makes it, since
// Node.js cannot.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../..')
const { COMMAND } = require('../support/command.js')
const { temporaryFolder } = require('../support/folders.js')
const { onLinux, onUnix } = require('../support/systems.js')

/** The byte that é is in Latin-1, for printf(1), and as it comes out. */
const BYTE = '\\351'
const byte = Buffer.from([0xe9])

/** Runs a line of the shell, in which "$@" is the tool and $e the byte. Its output is latin1. */
function inShell(line, cwd, nodeOptions = []) {
  const { status, stdout, stderr } = spawnSync(
    'sh',
    ['-c', `e=$(printf '${BYTE}'); ${line}`, 'sh', process.execPath, ...nodeOptions, COMMAND],
    { cwd, encoding: 'latin1', timeout: 20_000 },
  )
  return { code: status, stdout, stderr }
}

const namesIn = (folder) => fs.readdirSync(folder, { encoding: 'buffer' }).map((name) => name.latin1Slice())

describe('what is not UTF-8', onLinux, () => {
  test('is the lock file’s name as it is, for a command and for --who', async (t) => {
    const folder = temporaryFolder(t)
    assert.equal(inShell('"$@" "a$e" echo ran', folder).stdout, 'ran\n')
    assert.deepEqual(namesIn(folder), ['a\xe9'])
    const file = Buffer.concat([Buffer.from(`${folder}/a`), byte])
    const lock = await lockFile(file).acquire()
    const asked = inShell('"$@" --who "a$e"', folder)
    const other = inShell('"$@" -n "a\ufffd" echo ran', folder)
    lock.release()
    assert.equal(asked.code, 0)
    assert.deepEqual([other.code, other.stdout], [0, 'ran\n'])
  })

  test('may be the name of the working folder', (t) => {
    const folder = temporaryFolder(t)
    assert.equal(inShell('mkdir "$e"; cd "$e"; "$@" x.lock echo ran', folder).stdout, 'ran\n')
    assert.deepEqual(namesIn(Buffer.concat([Buffer.from(`${folder}/`), byte])), ['x.lock'])
  })

  test('is an argument of the command as it is, beside others', (t) => {
    const words = `"$e" 'a  b' "$e\n\n" "%s\\\\$e'" '' \ufffd '$e'`
    const expected = inShell(`printf '%s|' ${words}`, temporaryFolder(t))
    assert.deepEqual(inShell(`"$@" f printf '%s|' ${words}`, temporaryFolder(t)), expected)
    assert.ok(expected.stdout.startsWith('\xe9|a  b|\xe9\n\n|'), expected.stdout)
  })

  test('is a line for the shell as it is', (t) => {
    assert.equal(inShell(`"$@" f -c "printf %s '$e'; exit 3"`, temporaryFolder(t)).stdout, '\xe9')
  })

  test('is a variable of the command as it is, beside others that no shell could have', (t) => {
    const tell = `sh -c 'printf %s "$VALUE"; env'`
    const { stdout } = inShell(`export VALUE="$e%\n$e\n"; env a-b=c "$@" f ${tell}`, temporaryFolder(t))
    assert.ok(stdout.startsWith('\xe9%\n\xe9\n'), stdout)
    const list = inShell(`export VALUE="$e"; env a-b=c "$@" f env`, temporaryFolder(t)).stdout.split('\n')
    assert.ok(list.includes('a-b=c') && list.includes('VALUE=\xe9'), list.join('\n'))
    assert.ok(!list.some((line) => line.startsWith('locket')), list.join('\n'))
  })

  test('cannot be the name of the command, nor in a variable that no shell could have: it does not run', (t) => {
    for (const line of ['"$@" f "$e" x', 'env "a$e=x" "$@" f echo ran', 'env "a-b=$e" "$@" f echo ran']) {
      const folder = temporaryFolder(t)
      const { code, stdout, stderr } = inShell(line, folder)
      assert.deepEqual([code, stdout], [69, ''], stderr)
      assert.match(stderr, /^locket: failed to execute the command: .* is not UTF-8, and Node\.js would change it\n$/)
      assert.deepEqual(namesIn(folder), [])
    }
  })
})

test('what may have been changed is refused where nobody tells the bytes, and nothing is touched', onUnix, (t) => {
  const folder = temporaryFolder(t)
  const preload = path.join(temporaryFolder(t), 'preload.js')
  // As on systems without /proc.
  fs.writeFileSync(
    preload,
    `const fs = require('fs')
    for (const name of ['readFileSync', 'readlinkSync']) {
      const original = fs[name]
      fs[name] = (file, ...rest) => original(String(file).startsWith('/proc/') ? '/missing' : file, ...rest)
    }`,
  )
  const run = (line) => inShell(line, folder, ['--require', preload])
  for (const [line, code] of [
    ['"$@" "$e" echo ran', 66],
    ['"$@" --who "$e"', 66],
    ['"$@" f echo "$e"', 69],
    ['"$@" f -c "echo $e"', 69],
    ['VALUE="$e" "$@" f echo ran', 69],
  ]) {
    const { stderr, ...rest } = run(line)
    assert.deepEqual(rest, { code, stdout: '' }, line)
    assert.match(stderr, /^locket: .* is not UTF-8, and Node\.js would change it\n$/)
  }
  assert.deepEqual(namesIn(folder), [])
  assert.equal(run('"$@" f echo ran').stdout, 'ran\n')
})
