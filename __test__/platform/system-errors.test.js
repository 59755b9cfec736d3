'use strict'

// What the operating system refuses, file systems without locks included.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { ROOT, temporaryFolder, temporaryPath } = require('../support/folders.js')
const { script, Talker, TELL } = require('../support/processes.js')
const { Subject } = require('../support/system-calls/subject.js')
const { needing, onLinux, onUnix, unavailable, WINDOWS } = require('../support/systems.js')
const { errorOf } = require('../support/waiting.js')

const { errno } = os.constants

/** What people look at in an error of the system. */
const pick = ({ name, code, errno, syscall, path, message }) => ({ name, code, errno, syscall, path, message })

/** What open(2) refuses, as all forms of acquire tell it. */
function assertRefused(errors, code, file, description) {
  const message = `${code}: ${description}, open '${file}'`
  assert.equal(errors.length, 5)
  for (const error of errors) {
    assert.deepEqual(error, { name: 'Error', code, errno: -errno[code], syscall: 'open', path: file, message })
  }
}

test('what the operating system refuses is shaped as the errors of fs are', async (t) => {
  const folder = temporaryFolder(t)
  fs.writeFileSync(path.join(folder, 'file'), '')
  const paths = ['missing/x.lock', '.', 'file/x.lock', 'n'.repeat(300)]
  if (!WINDOWS) {
    fs.symlinkSync('loop', path.join(folder, 'loop'))
    paths.push('loop')
  }
  for (const name of paths) {
    const file = path.join(folder, name)
    const expected = pick(await errorOf(async () => fs.openSync(file, 'r+')))
    assert.match(expected.message, /^E[A-Z]+: .+, open '/)
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
      assert.deepEqual(pick(error), expected, form)
      assert.ok(error.errno < 0, form)
      assert.equal(lock.held, false, form)
    }
  }
  assert.equal(fs.existsSync(path.join(folder, 'missing')), false)
})

test('EACCES for a file, and for a folder, that this user may not use', onUnix, async (t) => {
  const folder = temporaryFolder(t)
  const [secret, closed] = ['secret.lock', 'closed'].map((name) => path.join(folder, name))
  fs.chmodSync(folder, 0o755)
  fs.writeFileSync(secret, '')
  fs.chmodSync(secret, 0)
  fs.mkdirSync(closed)
  fs.chmodSync(closed, 0o555)
  // To root nothing is forbidden, so the child becomes somebody else.
  const source = `${TELL}
    if (process.getuid() === 0) {
      process.setgroups([])
      process.setgid(65534)
      process.setuid(65534)
    }
    const work = async () => {
      for (const file of process.argv.slice(1)) tell(await errorsOf(lockFile(file)))
    }
    work()`
  const files = [secret, path.join(closed, 'x.lock')]
  const child = script(t, source, files)
  for (const file of files) assertRefused(JSON.parse(await child.line()), 'EACCES', file, 'permission denied')
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
  const args = ['-c', 'ulimit -n 64 && exec "$@"', 'sh', process.execPath, '-e', source, ROOT, file]
  const child = new Talker(t, 'sh', args)
  assertRefused(JSON.parse(await child.line()), 'EMFILE', file, 'too many open files')
  assert.equal(await child.line(), 'true')
})

/** What a file system without locks may say. The last is one that Linux means for itself: Node has no name for it. */
const WITHOUT_LOCKS = { ENOLCK: errno.ENOLCK, ENOSYS: errno.ENOSYS, ENOTSUP: errno.ENOTSUP, UNKNOWN: 524 }

for (const [code, number] of Object.entries(WITHOUT_LOCKS)) {
  const only = { skip: onLinux.skip || needing('python3').skip }
  test(`ERR_LOCK_UNSUPPORTED where the file system says ${code} (${number})`, only, async (t) => {
    const file = temporaryPath(t)
    const source = `${TELL}
      const { lockFile } = require(process.argv[1])
      const lock = lockFile(process.argv[2])
      const work = async () => tell([...(await errorsOf(lock)), lock.held])
      work()`
    const rules = [{ call: 'flock', errno: number }]
    const line = await new Subject(t, file, [process.execPath, '-e', source, ROOT, file], rules).line()
    if (line === 'unavailable') return unavailable(t, 'seccomp is not allowed here')
    const errors = JSON.parse(line)
    assert.equal(errors.pop(), false)
    assert.equal(errors.length, 5)
    for (const { cause, message, ...error } of errors) {
      assert.deepEqual(error, { name: 'LockError', code: 'ERR_LOCK_UNSUPPORTED', path: file })
      assert.ok(message.includes(file), message)
      const { code: its, errno, syscall, path } = cause
      assert.deepEqual({ its, errno, syscall, path }, { its: code, errno: -number, syscall: 'flock', path: file })
      assert.ok(cause.message.startsWith(`${code}: `), cause.message)
    }
  })
}
