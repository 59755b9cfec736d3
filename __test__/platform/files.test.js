'use strict'

// What happens to the lock file: created if missing, opened for reading, never written.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../..')
const { temporaryFolder, temporaryPath, temporaryPaths } = require('../support/folders.js')
const { allQueued, isFree } = require('../support/locks.js')
const { agent, isAlive, outcomeOf, script, Talker } = require('../support/processes.js')
const { LINUX, needing, needs, onUnix, unavailable, WINDOWS } = require('../support/systems.js')
const { eventually } = require('../support/waiting.js')

/** A process without privileges that runs `source` for `file`, in a folder where everybody may enter. Skips without root. */
function asNobody(t, source, file, { fileMode, folderMode = 0o755 } = {}) {
  if (WINDOWS || process.getuid() !== 0) return unavailable(t, 'becoming another user takes root') || undefined
  if (fileMode !== undefined) fs.chmodSync(file, fileMode)
  fs.chmodSync(path.dirname(file), folderMode)
  const drop = 'process.setgroups([]); process.setgid(65534); process.setuid(65534)'
  return script(t, `${drop}\nconst fs = require('fs')\nconst file = process.argv[1]\n${source}`, [file])
}

/** What such a process says, line by line. */
async function says(other, ...lines) {
  for (const line of lines) assert.equal(await other.line(), line)
}

test('bytes, size and modification time of the file stay as they are', async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(file, 'precious')
  fs.utimesSync(file, 1000, 1000)
  const lock = lockFile(file)
  await lock.run(() => {})
  lock.acquireSync({ mode: 'shared' }).release()
  await lock.isLocked()
  assert.equal(fs.readFileSync(file, 'utf8'), 'precious')
  assert.equal(fs.statSync(file).mtimeMs, 1_000_000)
})

test('making a handle touches nothing, and neither do isLocked and release; the file stays after a release', async (t) => {
  const lock = lockFile(temporaryPath(t))
  assert.equal(await lock.isLocked(), false)
  assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
  assert.equal(fs.existsSync(lock.path), false)
  await lock.acquire()
  lock.release()
  assert.ok(fs.existsSync(lock.path))
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
    await lockFile(file, { fileMode }).run(() => {})
    assert.equal(fs.statSync(file).mode & 0o777, expected)
  }
})

test('a missing folder, a folder, a dangling link and a circle of links are errors at once, and nothing is made', async (t) => {
  const folder = temporaryFolder(t)
  const at = (name) => path.join(folder, name)
  fs.symlinkSync(at('target'), at('link'))
  fs.symlinkSync(at('b'), at('a'))
  fs.symlinkSync(at('a'), at('b'))
  const expected = { 'missing/test.lock': 'ENOENT', '.': 'EISDIR', link: 'ENOENT', a: 'ELOOP' }
  for (const [name, code] of Object.entries(expected)) {
    const lock = lockFile(at(name))
    await assert.rejects(eventually(lock.acquire(), 'the error'), { code, syscall: 'open' }, name)
    await assert.rejects(lock.tryAcquire(), { code }, name)
    assert.throws(() => lock.acquireSync(), { code }, name)
    assert.throws(() => lock.tryAcquireSync(), { code }, name)
  }
  assert.equal(await lockFile(at('missing/test.lock')).isLocked(), false)
  assert.deepEqual(fs.readdirSync(folder).sort(), ['a', 'b', 'link'])
})

test('a folder can be locked where that is allowed, and is neither made nor removed', onUnix, async (t) => {
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
  lock.acquireSync({ mode: 'shared' }).release()
  assert.ok(fs.statSync(folder).isDirectory())
  await lockFile(missing, { allowDirectory: true }).run(() => assert.ok(fs.statSync(missing).isFile()))
})

test('a folder that others hold by handles for folders is EISDIR to a handle for files', onUnix, async (t) => {
  const folder = temporaryFolder(t)
  const options = { allowDirectory: true }
  const lock = await lockFile(folder, options).acquire()
  const waits = []
  // Each worker that has just found the folder in the table, by this very path.
  for (let round = 0; round < 4; round++) {
    waits.push(lockFile(folder, options).acquire())
    await allQueued(folder)
    const other = lockFile(folder)
    for (const call of [() => other.acquire(), () => other.tryAcquire(), () => other.isLocked()]) {
      await assert.rejects(eventually(call(), 'the error'), { code: 'EISDIR' })
    }
    assert.throws(() => other.tryAcquireSync(), { code: 'EISDIR' })
  }
  lock.release()
  for (const wait of waits) (await eventually(wait, 'the lock')).release()
})

test('a FIFO does not hang, also one that may only be read', needing('mkfifo'), async (t) => {
  const file = temporaryPath(t)
  execFileSync('mkfifo', [file])
  const lock = lockFile(file)
  await eventually(lock.acquire(), 'the lock')
  assert.equal(await isFree(file), false)
  lock.release()
  lock.acquireSync().release()
  // Opening a FIFO for reading waits for somebody to write, unless one says otherwise.
  const other = asNobody(t, "lockFile(file).run(() => console.log('acquired'))", file, { fileMode: 0o444 })
  if (other) await says(other, 'acquired')
})

for (const [name, fileMode, refused] of [
  ['read', 0o444, 'r+'],
  ['written', 0o222, 'r'],
]) {
  test(`a file that may only be ${name} can be locked, in either mode`, async (t) => {
    const file = temporaryPath(t)
    fs.writeFileSync(file, '')
    const source = `
      try { fs.openSync(file, '${refused}') } catch (error) { console.log(error.code) }
      const lock = lockFile(file)
      const work = async () => {
        for (const mode of ['shared', 'exclusive']) await lock.run(() => console.log(mode), { mode })
        await lock.acquire()
        console.log('acquired')
      }
      work()
      process.stdin.on('data', () => {})`
    const other = asNobody(t, source, file, { fileMode })
    if (!other) return
    await says(other, 'EACCES', 'shared', 'exclusive', 'acquired')
    assert.equal(await isFree(file), false)
  })
}

test("another user's file in a sticky folder can be locked, since it is not opened for creation", async (t) => {
  const file = temporaryPath(t)
  const setting = '/proc/sys/fs/protected_regular'
  if (!LINUX || process.getuid() !== 0) return unavailable(t, 'this takes Linux and root')
  fs.writeFileSync(file, '')
  // Neither the user's own nor that of the folder's owner, whom the kernel trusts.
  fs.chownSync(file, 1, 1)
  const before = fs.readFileSync(setting, 'utf8')
  fs.writeFileSync(setting, '2')
  t.after(() => fs.writeFileSync(setting, before))
  const source = `
    try { fs.openSync(file, 'a+') } catch (error) { console.log('O_CREAT', error.code) }
    lockFile(file).run(() => console.log('acquired'))`
  await says(asNobody(t, source, file, { fileMode: 0o666, folderMode: 0o1777 }), 'O_CREAT EACCES', 'acquired')
})

/** A copy of a program that ends when it is told, or after the seconds that it is given: sleep(1). */
function program(t) {
  const [file] = temporaryPaths(t, 'sleep')
  fs.copyFileSync(execFileSync('sh', ['-c', 'command -v sleep'], { encoding: 'utf8' }).trim(), file)
  fs.chmodSync(file, 0o755)
  return file
}

test('a program can be started while its file is locked or waited for', onUnix, async (t) => {
  const file = program(t)
  const waiter = agent(t, file)
  for (const mode of ['shared', 'exclusive']) {
    const lock = await lockFile(file).acquire({ mode })
    assert.equal(await waiter.ask('acquire'), 'waiting')
    execFileSync(file, ['0'])
    lock.release()
    assert.equal(await waiter.line(), 'acquired')
    execFileSync(file, ['0'])
    assert.equal(await waiter.ask('release'), 'released')
  }
})

test('the file of a running program can be locked', onUnix, async (t) => {
  const file = program(t)
  const running = new Talker(t, file, ['1000'])
  const lock = lockFile(file)
  await lock.acquire()
  assert.equal(await agent(t, file).ask('try'), 'false')
  lock.release()
  lock.acquireSync().release()
  assert.equal(await lock.isLocked(), false)
  assert.ok(isAlive(running.pid))
})

/** Says, when it is asked, how often a file was closed by somebody who had it open for writing. */
const WATCHER = `
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

test('a watcher of the writers of a file hears nothing of its locks', async (t) => {
  if (!LINUX) return t.skip('only Linux has inotify')
  if (!needs(t, 'python3')) return
  const file = temporaryPath(t)
  fs.writeFileSync(file, '')
  const watcher = new Talker(t, 'python3', ['-c', WATCHER, file])
  await says(watcher, 'watching')
  const lock = lockFile(file)
  await lock.run(() => {})
  for (let i = 0; i < 40; i++) await lock.run(() => {}, { mode: 'shared' })
  lock.acquireSync().release()
  await lock.isLocked()
  await lock.holders()
  assert.equal(await watcher.ask('?'), '0')
  fs.closeSync(fs.openSync(file, 'r+'))
  assert.equal(await watcher.ask('?'), '1')
})
