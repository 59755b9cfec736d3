'use strict'

// What the operating system refuses, file systems without locks included.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('..')
const support = require('./support.js')

const { errorOf, script, TELL, temporaryFolder, temporaryPath } = support

const HOME = path.dirname(__dirname)
const onUnix = { skip: process.platform === 'win32' && 'Windows has no such limits' }

/** The number of flock(2), where the tests know it. */
const FLOCK = { x64: 73, arm64: 32 }[process.arch]

describe('what the operating system refuses', () => {
  test('is shaped as the errors of fs are', async (t) => {
    const folder = temporaryFolder(t)
    fs.writeFileSync(path.join(folder, 'file'), '')
    const paths = ['missing/x.lock', '.', 'file/x.lock', 'n'.repeat(300)]
    if (process.platform !== 'win32') {
      fs.symlinkSync('loop', path.join(folder, 'loop'))
      paths.push('loop')
    }
    for (const name of paths) {
      const file = path.join(folder, name)
      const { message, ...properties } = await errorOf(async () => fs.openSync(file, 'r+')).then(pick)
      assert.match(message, /^E[A-Z]+: .+, open '/)
      const lock = lockFile(file)
      const forms = {
        acquire: () => lock.acquire(),
        acquireSync: async () => lock.acquireSync(),
        tryAcquire: () => lock.tryAcquire(),
        tryAcquireSync: async () => lock.tryAcquireSync(),
        run: () => lock.run(() => assert.fail('the task ran')),
      }
      for (const [form, call] of Object.entries(forms)) {
        const error = await errorOf(call)
        assert.equal(error.constructor, Error, form)
        assert.deepEqual(pick(error), { message, ...properties }, form)
        assert.ok(error.errno < 0, form)
        assert.equal(lock.held, false, form)
      }
    }
  })

  test('a folder that is missing is not made', async (t) => {
    const folder = temporaryFolder(t)
    const error = await errorOf(() => lockFile(path.join(folder, 'missing/x.lock')).acquire())
    assert.equal(error.code, 'ENOENT')
    assert.equal(error.errno, -os.constants.errno.ENOENT)
    assert.deepEqual(fs.readdirSync(folder), [])
  })

  test('EACCES for a file, and for a folder, that this user may not use', onUnix, async (t) => {
    const folder = temporaryFolder(t)
    fs.chmodSync(folder, 0o755)
    fs.writeFileSync(path.join(folder, 'secret.lock'), '')
    fs.chmodSync(path.join(folder, 'secret.lock'), 0)
    fs.mkdirSync(path.join(folder, 'closed'))
    fs.chmodSync(path.join(folder, 'closed'), 0o555)
    // To root nothing is forbidden, so the child becomes somebody else.
    const child = script(
      t,
      `${TELL}
      if (process.getuid() === 0) {
        process.setgroups([])
        process.setgid(65534)
        process.setuid(65534)
      }
      const work = async () => {
        for (const file of process.argv.slice(1)) tell(await errorsOf(lockFile(file)))
      }
      work()`,
      [path.join(folder, 'secret.lock'), path.join(folder, 'closed/x.lock')],
    )
    for (const name of ['secret.lock', 'closed/x.lock']) {
      const file = path.join(folder, name)
      const errors = JSON.parse(await child.line())
      assert.equal(errors.length, 5)
      for (const error of errors) {
        assert.deepEqual(error, {
          name: 'Error',
          code: 'EACCES',
          errno: -os.constants.errno.EACCES,
          syscall: 'open',
          path: file,
          message: `EACCES: permission denied, open '${file}'`,
        })
      }
    }
  })

  test('EMFILE when no descriptor is left, and the lock when there is one again', onUnix, async (t) => {
    const file = temporaryPath(t)
    const source = `${TELL}
      const { lockFile } = require(process.argv[1])
      const lock = lockFile(process.argv[2])
      const open = []
      try { for (;;) open.push(fs.openSync('/dev/null')) } catch {}
      const work = async () => {
        tell(await errorsOf(lock))
        for (const descriptor of open) fs.closeSync(descriptor)
        await lock.acquire()
        tell(lock.held)
      }
      work()`
    // All is loaded before the limit counts, but for what Node itself may open yet: hence 64, and not fewer.
    const args = ['-c', 'ulimit -n 64 && exec "$@"', 'sh', process.execPath, '-e', source, HOME, file]
    const child = new support.Talker(t, 'sh', args)
    const errors = JSON.parse(await child.line())
    assert.equal(errors.length, 5)
    for (const error of errors) {
      assert.deepEqual(error, {
        name: 'Error',
        code: 'EMFILE',
        errno: -os.constants.errno.EMFILE,
        syscall: 'open',
        path: file,
        message: `EMFILE: too many open files, open '${file}'`,
      })
    }
    assert.equal(await child.line(), 'true')
  })
})

/** What a file system without locks may say. The last is one that Linux means for itself: Node has no name for it. */
const WITHOUT_LOCKS = [
  ...['ENOLCK', 'ENOSYS', 'ENOTSUP'].map((code) => ({ code, errno: os.constants.errno[code] })),
  { code: 'UNKNOWN', errno: 524 },
]

for (const { code, errno } of WITHOUT_LOCKS) {
  const only = { skip: (process.platform !== 'linux' || FLOCK === undefined) && 'needs seccomp' }
  test(`ERR_LOCK_UNSUPPORTED where the file system says ${code} (${errno})`, only, async (t) => {
    if (!support.needs(t, 'python3')) return
    const file = temporaryPath(t)
    const fixture = path.join(__dirname, 'fixtures/refuse-flock.py')
    const source = `${TELL}
      const { lockFile } = require(process.argv[1])
      const lock = lockFile(process.argv[2])
      const work = async () => tell([...(await errorsOf(lock)), await errorOf(() => lock.isLocked()), lock.held])
      work()`
    const command = [process.execPath, '-e', source, HOME, file]
    const line = await new support.Talker(t, 'python3', [fixture, String(FLOCK), String(errno), ...command]).line()
    if (line === 'unavailable') {
      support.unavailable(t, 'seccomp is not allowed here')
      return
    }
    const errors = JSON.parse(line)
    assert.equal(errors.pop(), false)
    assert.equal(errors.length, 6)
    for (const { cause, ...error } of errors) {
      assert.equal(error.name, 'LockError')
      assert.equal(error.code, 'ERR_LOCK_UNSUPPORTED')
      assert.equal(error.path, file)
      assert.ok(error.message.includes(file), error.message)
      assert.equal(cause.errno, -errno)
      assert.equal(cause.code, code)
      assert.equal(cause.syscall, 'flock')
      assert.equal(cause.path, file)
      assert.ok(cause.message.startsWith(`${code}: `), cause.message)
    }
  })
}

test('a panic of the native part is an error that blames nobody else', () => {
  const { refusalError } = require('../lib/errors.js')
  const error = refusalError({ reason: 'panicked' }, { path: '/x' })
  assert.equal(error.code, 'ERR_INTERNAL_ASSERTION')
  assert.match(error.message, /@locket\/native/)
})

/** What people look at in an error of the system. */
function pick({ name, code, errno, syscall, path, message }) {
  return { name, code, errno, syscall, path, message }
}
