'use strict'

// Rules 11 to 17: what happens to the file.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('..')
const {
  Talker,
  agent,
  allInLine,
  eventually,
  isAlive,
  isFree,
  needs,
  outcomeOf,
  script,
  staysPending,
  temporaryFolder,
  temporaryPath,
  unavailable,
} = require('./support.js')

/** Runs `source` as a user without privileges, in a folder where everybody may do anything. Skips without root. */
function asNobody(t, source, args) {
  if (process.platform === 'win32' || process.getuid() !== 0) {
    unavailable(t, 'becoming another user takes root')
    return undefined
  }
  const drop = 'process.setgroups([]); process.setgid(65534); process.setuid(65534)'
  return script(t, `${drop}\n${source}`, args)
}

test('bytes, size and modification time of the file stay as they are', async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, 'precious')
  fs.utimesSync(file, 1000, 1000)
  const lock = lockFile(file)
  await lock.acquire()
  lock.release()
  lock.acquireSync({ mode: 'shared' })
  lock.release()
  await lock.isLocked()
  assert.equal(fs.readFileSync(file, 'utf8'), 'precious')
  assert.equal(fs.statSync(file).mtimeMs, 1_000_000)
})

test('making a handle touches nothing, and neither do isLocked and release', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  assert.equal(await lock.isLocked(), false)
  assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
  assert.equal(fs.existsSync(file), false)
})

test('a missing file is created with the given permission bits, less the umask', async (t) => {
  const folder = temporaryFolder(t)
  const previous = process.umask(0o027)
  t.after(() => process.umask(previous))
  for (const [fileMode, expected] of [
    [undefined, 0o640],
    [0o600, 0o600],
    [0o777, 0o750],
  ]) {
    const file = path.join(folder, `mode-${fileMode}`)
    const lock = lockFile(file, { fileMode })
    await lock.acquire()
    lock.release()
    assert.equal(fs.statSync(file).mode & 0o777, expected)
  }
})

test('the file is left in place on release', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  await lock.acquire()
  lock.release()
  assert.ok(fs.existsSync(file))
})

test('a folder that is missing is ENOENT at once, whatever the timeout', async (t) => {
  const file = path.join(temporaryFolder(t), 'missing', 'test.lock')
  await assert.rejects(eventually(lockFile(file).acquire(), 'the error'), { code: 'ENOENT', syscall: 'open' })
  assert.throws(() => lockFile(file).acquireSync(), { code: 'ENOENT' })
  await assert.rejects(lockFile(file).tryAcquire(), { code: 'ENOENT' })
  assert.equal(await lockFile(file).isLocked(), false)
  assert.equal(fs.existsSync(path.dirname(file)), false)
})

test('a folder is EISDIR', async (t) => {
  const folder = temporaryFolder(t)
  await assert.rejects(lockFile(folder).acquire(), { code: 'EISDIR' })
  assert.throws(() => lockFile(folder).tryAcquireSync(), { code: 'EISDIR' })
})

test('a folder can be locked where that is allowed, and is neither made nor removed', async (t) => {
  if (process.platform === 'win32') return t.skip('Windows locks no folders')
  const folder = path.join(temporaryFolder(t), 'folder')
  const missing = path.join(folder, 'missing')
  fs.mkdirSync(folder)
  const options = { allowDirectory: true, removeOnRelease: true }
  const lock = await lockFile(folder, options).acquire()
  if (needs(t, 'flock')) assert.equal(outcomeOf('flock', ['--nonblock', folder, 'true']).code, 1)
  assert.equal(await lockFile(folder, options).isLocked(), true)
  assert.equal(await lockFile(folder, options).tryAcquire(), false)
  const wait = lockFile(folder, options).acquire()
  lock.release()
  ;(await eventually(wait, 'the lock')).release()
  lock.acquireSync({ mode: 'shared' })
  lock.release()
  assert.ok(fs.statSync(folder).isDirectory())
  const file = lockFile(missing, { allowDirectory: true })
  await file.run(() => assert.ok(fs.statSync(missing).isFile()))
})

test('a folder that others hold by handles for folders is EISDIR to a handle for files', async (t) => {
  if (process.platform === 'win32') return t.skip('Windows locks no folders')
  const folder = temporaryFolder(t)
  const options = { allowDirectory: true }
  const lock = await lockFile(folder, options).acquire()
  const waits = []
  // Each worker that has just found the folder in the table, by this very path.
  for (let round = 0; round < 4; round++) {
    waits.push(lockFile(folder, options).acquire())
    await allInLine(folder)
    const other = lockFile(folder)
    for (const call of [() => other.acquire(), () => other.tryAcquire(), () => other.isLocked()]) {
      await assert.rejects(eventually(call(), 'the error'), { code: 'EISDIR' })
    }
    assert.throws(() => other.tryAcquireSync(), { code: 'EISDIR' })
  }
  lock.release()
  for (const wait of waits) (await eventually(wait, 'the lock')).release()
})

test('a dangling symbolic link is ENOENT, and nothing is created through it', async (t) => {
  const folder = temporaryFolder(t)
  const target = path.join(folder, 'target')
  const link = path.join(folder, 'link')
  fs.symlinkSync(target, link)
  await assert.rejects(eventually(lockFile(link).acquire(), 'the error'), { code: 'ENOENT' })
  assert.throws(() => lockFile(link).acquireSync(), { code: 'ENOENT' })
  assert.equal(fs.existsSync(target), false)
})

test('symbolic links in a circle are ELOOP', async (t) => {
  const folder = temporaryFolder(t)
  fs.symlinkSync(path.join(folder, 'b'), path.join(folder, 'a'))
  fs.symlinkSync(path.join(folder, 'a'), path.join(folder, 'b'))
  await assert.rejects(eventually(lockFile(path.join(folder, 'a')).acquire(), 'the error'), { code: 'ELOOP' })
})

test('a FIFO does not hang', async (t) => {
  if (!needs(t, 'mkfifo')) return
  const file = temporaryPath(t)
  execFileSync('mkfifo', [file])
  const lock = lockFile(file)
  await eventually(lock.acquire(), 'the lock')
  assert.equal(await lockFile(file).tryAcquire(), false)
  lock.release()
  lock.acquireSync()
  lock.release()
})

test('a FIFO that may only be read does not hang', async (t) => {
  if (!needs(t, 'mkfifo')) return
  const file = temporaryPath(t)
  execFileSync('mkfifo', ['--mode=444', file])
  fs.chmodSync(path.dirname(file), 0o755)
  // Opening a FIFO for reading waits for somebody to write, unless one says otherwise.
  const other = asNobody(t, "lockFile(process.argv[1]).run(() => console.log('acquired'))", [file])
  if (!other) return
  assert.equal(await other.line(), 'acquired')
})

test('a file that may only be read can be locked', async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '', { mode: 0o444 })
  fs.chmodSync(path.dirname(file), 0o755)
  const source = `
    try { require('fs').openSync(process.argv[1], 'r+') } catch (error) { console.log(error.code) }
    const lock = lockFile(process.argv[1])
    lock.acquire().then(() => console.log('acquired'))
    process.stdin.on('data', () => {})
  `
  const other = asNobody(t, source, [file])
  if (!other) return
  assert.equal(await other.line(), 'EACCES')
  assert.equal(await other.line(), 'acquired')
  assert.equal(await isFree(file), false)
})

test('a file that may only be written can be locked, in either mode', async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  fs.chmodSync(file, 0o222)
  fs.chmodSync(path.dirname(file), 0o755)
  const source = `
    try { require('fs').openSync(process.argv[1], 'r') } catch (error) { console.log(error.code) }
    const lock = lockFile(process.argv[1])
    const work = async () => {
      for (const mode of ['shared', 'exclusive']) await lock.run(() => console.log(mode), { mode })
      await lock.acquire()
      console.log('acquired')
    }
    work()
    process.stdin.on('data', () => {})
  `
  const other = asNobody(t, source, [file])
  if (!other) return
  for (const expected of ['EACCES', 'shared', 'exclusive', 'acquired']) assert.equal(await other.line(), expected)
  assert.equal(await isFree(file), false)
})

test('a program can be started while its file is locked or waited for', async (t) => {
  if (process.platform === 'win32') return t.skip('its programs have other names')
  const program = path.join(temporaryFolder(t), 'sleep')
  fs.copyFileSync(execFileSync('sh', ['-c', 'command -v sleep'], { encoding: 'utf8' }).trim(), program)
  fs.chmodSync(program, 0o755)
  const waiter = agent(t, program)
  for (const mode of ['shared', 'exclusive']) {
    const lock = await lockFile(program).acquire({ mode })
    assert.equal(await waiter.ask('acquire'), 'waiting')
    execFileSync(program, ['0'])
    lock.release()
    assert.equal(await waiter.line(), 'acquired')
    execFileSync(program, ['0'])
    assert.equal(await waiter.ask('release'), 'released')
  }
})

/** Python that says how often `file` was closed by somebody who had it open for writing, when it is asked. */
async function watchOn(t, file) {
  if (process.platform !== 'linux') return unavailable(t, 'only Linux has inotify')
  if (!needs(t, 'python3')) return undefined
  const source = `
import ctypes, os, sys
libc = ctypes.CDLL(None)
watch = libc.inotify_init1(os.O_NONBLOCK)
CLOSE_WRITE = 8
libc.inotify_add_watch(watch, os.fsencode(sys.argv[1]), CLOSE_WRITE)
print('watching', flush=True)
for _ in sys.stdin:
    try:
        print(len(os.read(watch, 65536)) // 16, flush=True)
    except BlockingIOError:
        print(0, flush=True)
`
  const watcher = new Talker(t, 'python3', ['-c', source, file])
  assert.equal(await watcher.line(), 'watching')
  return watcher
}

test('a watcher of the writers of a file hears nothing of its locks', async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  const watcher = await watchOn(t, file)
  if (!watcher) return
  const lock = lockFile(file)
  await lock.run(() => {})
  for (let i = 0; i < 40; i++) await lock.run(() => {}, { mode: 'shared' })
  lock.acquireSync()
  lock.release()
  await lock.isLocked()
  await lock.holders()
  assert.equal(await watcher.ask('?'), '0')
  fs.closeSync(fs.openSync(file, 'r+'))
  assert.equal(await watcher.ask('?'), '1')
})

test('a lease of readers is not broken by a lock, nor by a question', async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  const owner = await leaseOn(t, file, 'F_RDLCK')
  if (!owner) return
  const lock = lockFile(file)
  await lock.run(() => {})
  lock.acquireSync()
  lock.release()
  await lock.isLocked()
  // The next line is said when somebody opens the file for writing, and not before.
  const wanted = owner.line()
  assert.ok(await staysPending(wanted))
  const writer = script(t, "require('fs').openSync(process.argv[1], 'r+')", [file])
  assert.equal(await wanted, 'wanted')
  owner.say('give it up')
  await eventually(writer.exited, 'the end of the writer')
})

test('the file of a running program can be locked', async (t) => {
  if (process.platform === 'win32') return t.skip('there nobody may lock it who may not write it')
  const program = path.join(temporaryFolder(t), 'sleep')
  fs.copyFileSync(execFileSync('sh', ['-c', 'command -v sleep'], { encoding: 'utf8' }).trim(), program)
  fs.chmodSync(program, 0o755)
  const running = new Talker(t, program, ['1000'])
  const lock = lockFile(program)
  await lock.acquire()
  assert.equal(await agent(t, program).ask('try'), 'false')
  lock.release()
  lock.acquireSync()
  lock.release()
  assert.equal(await lock.isLocked(), false)
  assert.ok(isAlive(running.pid))
})

/**
 * Python that has a lease on `file`, and says when somebody wants to open it, or with F_RDLCK to open it for writing; it
 * gives the lease up when it is told to. Skips where there are no leases.
 */
async function leaseOn(t, file, type = 'F_WRLCK') {
  if (process.platform !== 'linux') return unavailable(t, 'only Linux has leases')
  if (!needs(t, 'python3')) return undefined
  const source = `
import fcntl, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
type = getattr(fcntl, sys.argv[2])
file = open(sys.argv[1], 'r' if type == fcntl.F_RDLCK else 'r+')
try:
    fcntl.fcntl(file, fcntl.F_SETLEASE, type)
except OSError as error:
    print(error, flush=True)
    sys.exit()
print('leased', flush=True)
signal.sigwait({signal.SIGIO})
print('wanted', flush=True)
sys.stdin.readline()
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
sys.stdin.read()
`
  const owner = new Talker(t, 'python3', ['-c', source, file, type])
  const answer = await owner.line()
  return answer === 'leased' ? owner : unavailable(t, answer)
}

for (const [how, prepare] of Object.entries({
  'that was never opened': () => {},
  'whose lock was had often': async (lock) => {
    for (let i = 0; i < 40; i++) await lock.run(() => {})
  },
})) {
  test(`a file ${how} is waited for until another program has given up its lease on it`, async (t) => {
    const file = temporaryPath(t)
    fs.writeFileSync(file, '')
    const lock = lockFile(file)
    await prepare(lock)
    const owner = await leaseOn(t, file)
    if (!owner) return
    const wait = lock.acquire()
    assert.equal(await owner.line(), 'wanted')
    assert.ok(await staysPending(wait))
    await assert.rejects(eventually(lockFile(file).acquire({ timeout: 20 }), 'the timeout'), {
      code: 'ERR_LOCK_TIMEOUT',
    })
    owner.say('give it up')
    await eventually(wait, 'the lock')
    assert.equal(await isFree(file), false)
    lock.release()
  })
}

test('a folder that may not be written is EACCES', async (t) => {
  const file = temporaryPath(t)
  fs.chmodSync(path.dirname(file), 0o555)
  const source = `lockFile(process.argv[1]).acquire().catch((error) => console.log(error.code, error.syscall))`
  const other = asNobody(t, source, [file])
  if (!other) return
  assert.equal(await other.line(), 'EACCES open')
})

test("another user's file in a sticky folder can be locked, since it is not opened for creation", async (t) => {
  const file = temporaryPath(t)
  const setting = '/proc/sys/fs/protected_regular'
  if (process.platform !== 'linux' || process.getuid() !== 0) return unavailable(t, 'this takes Linux and root')
  fs.writeFileSync(file, '')
  fs.chmodSync(file, 0o666)
  // Neither the user's own nor that of the folder's owner, whom the kernel trusts.
  fs.chownSync(file, 1, 1)
  fs.chmodSync(path.dirname(file), 0o1777)
  const before = fs.readFileSync(setting, 'utf8')
  fs.writeFileSync(setting, '2')
  t.after(() => fs.writeFileSync(setting, before))
  const source = `
    const fs = require('fs')
    try { fs.openSync(process.argv[1], 'a+') } catch (error) { console.log('O_CREAT', error.code) }
    lockFile(process.argv[1]).run(() => console.log('acquired'))
  `
  const other = asNobody(t, source, [file])
  if (!other) return
  assert.equal(await other.line(), 'O_CREAT EACCES')
  assert.equal(await other.line(), 'acquired')
})

test('a waiter whose file was deleted meanwhile gets the one that its path names then', async (t) => {
  const file = temporaryPath(t)
  const holder = agent(t, file)
  assert.equal(await holder.ask('try'), 'true')
  const wait = lockFile(file).acquire()
  assert.ok(await staysPending(wait))
  fs.rmSync(file)
  assert.ok(await staysPending(wait))
  assert.equal(await holder.ask('release'), 'released')
  const lock = await eventually(wait, 'the lock')
  // Not of the deleted file, on which nobody else could ever see it.
  assert.ok(fs.existsSync(file))
  assert.equal(await holder.ask('try'), 'false')
  lock.release()
})

test('a waiter whose file was replaced meanwhile waits for the new one, within its deadline', async (t) => {
  const file = temporaryPath(t)
  const first = agent(t, file)
  const second = agent(t, file)
  assert.equal(await first.ask('try'), 'true')
  const wait = lockFile(file).acquire()
  const bounded = lockFile(file).acquire({ timeout: 200 })
  await allInLine(file)
  fs.rmSync(file)
  assert.equal(await second.ask('try'), 'true')
  assert.equal(await first.ask('release'), 'released')
  await assert.rejects(bounded, { code: 'ERR_LOCK_TIMEOUT', timeout: 200 })
  assert.ok(await staysPending(wait))
  assert.equal(await second.ask('release'), 'released')
  const lock = await eventually(wait, 'the lock')
  lock.release()
})

test('whoever comes when the file has been replaced need not wait for the old one, as those before do', async (t) => {
  const file = temporaryPath(t)
  const old = lockFile(file)
  await old.acquire()
  const waits = Array.from({ length: 3 }, () => lockFile(file).acquire())
  await allInLine(file)
  fs.renameSync(file, `${file}.old`)
  const lock = await eventually(lockFile(file).acquire(), 'the lock of the new file')
  assert.ok(await staysPending(Promise.race(waits)))
  old.release()
  lock.release()
  for (const wait of waits) (await eventually(wait, 'the lock of the new file')).release()
})

test('a hand-over within the process looks at the path too', async (t) => {
  const file = temporaryPath(t)
  const holder = await lockFile(file).acquire()
  const order = []
  const waits = [1, 2, 3].map((i) =>
    lockFile(file).run(() => {
      order.push(i)
      assert.ok(fs.existsSync(file))
    }),
  )
  await allInLine(file)
  const { ino } = fs.statSync(file)
  fs.renameSync(file, `${file}.old`)
  fs.writeFileSync(file, '')
  assert.notEqual(fs.statSync(file).ino, ino)
  const newcomer = agent(t, file)
  assert.equal(await newcomer.ask('try'), 'true', 'the path names a new file, which nobody has locked')
  holder.release()
  assert.ok(await staysPending(waits[0]), 'let in beside the holder of the file that the path names')
  assert.equal(await newcomer.ask('release'), 'released')
  await Promise.all(waits)
  assert.deepEqual(order, [1, 2, 3])
})

test('a lock whose file was deleted can still be released by another handle of the path', async (t) => {
  const file = temporaryPath(t)
  const lock = lockFile(file)
  await lock.acquire()
  fs.rmSync(file)
  lockFile(file).release()
  assert.equal(lock.held, false)
  assert.equal(fs.existsSync(file), false)
})

test('a relative path is one of the working folder, also where the name of that is not UTF-8', {
  skip: process.platform !== 'linux' && 'names are bytes on Linux',
}, (t) => {
  const parent = temporaryFolder(t)
  const folder = Buffer.concat([Buffer.from(`${parent}/name-`), Buffer.from([0xff])])
  fs.mkdirSync(folder)
  const source = `
    const { lockFile } = require(${JSON.stringify(path.dirname(__dirname))})
    for (const name of ['text.lock', Buffer.from('bytes.lock'), Buffer.from([0x62, 0xfe])]) lockFile(name).acquireSync()`
  const command = `cd "$(printf 'name-\\377')" && exec "$0" -e "$1"`
  const { code, stderr } = outcomeOf('sh', ['-c', command, process.execPath, source], { cwd: parent })
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  const names = fs.readdirSync(folder, 'buffer').map((name) => name.toString('latin1'))
  assert.deepEqual(names.sort(), ['bytes.lock', 'b\xfe', 'text.lock'].sort())
  assert.deepEqual(fs.readdirSync(parent).length, 1, 'another folder was made')
})
