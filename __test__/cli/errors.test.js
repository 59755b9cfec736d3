'use strict'

// What the command-line tool does when there is no file to be locked: its exit codes are those of flock(1).

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { LockError, LockTimeoutError } = require('../..')
const { commandFailure, lockFailure } = require('../../bin/cli/failure.js')
const { changed, COMMAND, runLocket } = require('../support/command.js')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { outcomeOf } = require('../support/processes.js')
const { Subject } = require('../support/system-calls/subject.js')
const { needs, onLinux, unavailable } = require('../support/systems.js')

/** An error of the system, as Node and this package make them. */
function systemError(code, syscall) {
  return Object.assign(new Error(`${code}: described, ${syscall}`), { code, errno: -os.constants.errno[code], syscall })
}

test('a file that cannot be opened: exit code 66, and the command does not run', (t) => {
  const folder = temporaryFolder(t)
  fs.writeFileSync(path.join(folder, 'file'), '')
  const names = { 'missing/x.lock': 'no such file or directory' }
  if (process.platform === 'win32') names['.'] = 'illegal operation on a directory'
  else {
    fs.symlinkSync('loop', path.join(folder, 'loop'))
    names['file/x.lock'] = 'not a directory'
    names.loop = 'too many symbolic links encountered'
    names['n'.repeat(300)] = 'name too long'
  }
  for (const [name, why] of Object.entries(names)) {
    for (const args of [
      [name, process.execPath, '-p', '"ran"'],
      ['--who', name],
    ]) {
      // To ask who holds what does not exist is no error.
      if (args[0] === '--who' && why.startsWith('no such')) continue
      const stderr = `locket: cannot open lock file ${name}: ${why}\n`
      assert.deepEqual(runLocket(args, { cwd: folder }), { code: 66, signal: null, stdout: '', stderr })
    }
  }
  assert.equal(fs.existsSync(path.join(folder, 'missing')), false)
})

test('an empty path, as from a variable that is not set: exit code 66', (t) => {
  for (const args of [
    ['', process.execPath, '-p', '"ran"'],
    ['--who', ''],
  ]) {
    const { code, stdout, stderr } = runLocket(args, { cwd: temporaryFolder(t) })
    assert.deepEqual({ code, stdout }, { code: 66, stdout: '' })
    assert.match(stderr, /^locket: cannot open lock file ''.*\n$/)
  }
})

test('exit codes tell a file that cannot be opened, one that cannot be made, and a system at its limits', () => {
  const expected = {
    ENOENT: 66,
    EACCES: 66,
    EISDIR: 66,
    ELOOP: 66,
    EROFS: 73,
    ENOSPC: 73,
    EMFILE: 71,
    ENFILE: 71,
    ENOMEM: 71,
  }
  for (const [code, exitCode] of Object.entries(expected)) {
    const failure = lockFailure(systemError(code, 'open'), 'the file')
    assert.equal(failure.exitCode, exitCode, code)
    assert.match(failure.message, /^cannot open lock file the file: /)
  }
  assert.equal(lockFailure(systemError('EIO', 'flock'), 'the file').exitCode, 65)
  const defect = new TypeError('on purpose')
  assert.equal(lockFailure(defect, 'the file'), defect)
  const unsupported = (code) =>
    new LockError('no such locks', {
      code: 'ERR_LOCK_UNSUPPORTED',
      path: 'the file',
      cause: systemError(code, 'flock'),
    })
  assert.equal(lockFailure(unsupported('ENOLCK'), 'the file').exitCode, 71)
  assert.equal(lockFailure(unsupported('ENOSYS'), 'the file').exitCode, 65)
  const unanswered = lockFailure(new LockTimeoutError('the path does not answer', { path: 'the file' }), 'the file')
  assert.deepEqual([unanswered.message, unanswered.exitCode], ['the path does not answer', 65])
})

test('exit codes tell a command that cannot be run from a system at its limits', () => {
  const expected = { ENOENT: 69, EACCES: 69, E2BIG: 69, ENOEXEC: 69, EAGAIN: 71, EMFILE: 71, ENOMEM: 71 }
  for (const [code, exitCode] of Object.entries(expected)) {
    const failure = commandFailure(systemError(code, 'spawn'), 'deploy')
    assert.equal(failure.exitCode, exitCode, code)
    assert.match(failure.message, /^failed to execute deploy: /)
  }
})

test('a file system that has no locks is an error, and the command does not run', onLinux, async (t) => {
  if (!needs(t, 'python3')) return
  for (const [code, exitCode] of Object.entries({ ENOLCK: 71, EOPNOTSUPP: 65 })) {
    const file = temporaryPath(t)
    const command = [process.execPath, COMMAND, file, process.execPath, '-p', '"ran"']
    const it = new Subject(t, file, command, [{ call: 'flock', errno: os.constants.errno[code] }])
    const lines = await it.rest()
    if (lines[0] === 'unavailable') return unavailable(t, 'seccomp is not available')
    const { code: ended, stderr } = await it.ended()
    assert.deepEqual([ended, lines], [exitCode, []], stderr)
    assert.match(stderr, /^locket: .+ is on a file system that has no such locks: a protocol .*'soft-file'.*\n$/)
  }
})

test('what nobody has foreseen is no conflict: exit code 70, with the stack', (t) => {
  const broken = changed(t, 'performance.now = () => { throw new TypeError("on purpose") }')
  const command = [...broken, temporaryPath(t), process.execPath, '-p', '"ran"']
  const { code, stdout, stderr } = outcomeOf(process.execPath, command)
  assert.deepEqual({ code, stdout }, { code: 70, stdout: '' }, stderr)
  assert.match(stderr, /^TypeError: on purpose\n +at /)
})

test('a relative path from a folder that has been deleted: exit code 66', (t) => {
  if (process.platform === 'win32') return t.skip('there it cannot be deleted')
  const folder = path.join(temporaryFolder(t), 'deleted')
  fs.mkdirSync(folder)
  const inDeleted = 'cd "$1" && rmdir "$1" && exec "$2" "$3" x.lock true'
  const { code, stderr } = outcomeOf('sh', ['-c', inDeleted, 'sh', folder, process.execPath, COMMAND])
  assert.equal(code, 66, stderr)
  assert.match(stderr, /^locket: cannot open lock file x\.lock: no such file or directory\n$/)
  return undefined
})
