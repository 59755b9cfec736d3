'use strict'

// Locks by existence on file systems of every kind, on those that are full or cannot be written, and on those that lack what
// a protocol is made of: see docs/protocols.md.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { lockFile } = require('../../..')
const { AGENT, agent } = require('../../support/processes.js')
const { isUnavailable, Subject } = require('../../support/system-calls/subject.js')
const { eventually } = require('../../support/waiting.js')
const { mounting } = require('./mounts.js')
const { locksOn } = require('./namespace.js')

const { EINVAL, EOPNOTSUPP, EPERM } = os.constants.errno

const FOLDERS = ['proper-lockfile', 'mkdir']
const FILES = ['lockfile', 'soft-file', 'link', 'pid-file', 'dotlock']
const PROTOCOLS = [...FOLDERS, ...FILES, 'symlink']

/** Nobody gets in because a lock is old. */
const NEVER = { stale: 3_600_000 }

const optionsOf = (protocol) => ({ protocol, ...(['proper-lockfile', 'lockfile'].includes(protocol) ? NEVER : {}) })

/** The path of a lock in a folder, where the file is there that 'proper-lockfile' wants. */
function pathIn(folder, protocol) {
  const file = path.join(folder, protocol)
  if (protocol === 'proper-lockfile') fs.writeFileSync(file, '')
  return file
}

/** What is in the folder of `file` beside what was there before. */
function entriesBeside(file, others = []) {
  const known = ['lost+found', ...others, path.basename(file) === 'proper-lockfile' ? 'proper-lockfile' : '']
  return fs.readdirSync(path.dirname(file)).filter((name) => !known.includes(name))
}

/** Locks in `folder` exclude processes, are taken over from dead ones, and leave nothing. */
async function behaves(t, folder) {
  for (const protocol of PROTOCOLS) {
    const options = optionsOf(protocol)
    const file = pathIn(fs.mkdtempSync(path.join(folder, 'test-')), protocol)
    const [lock, other] = [0, 1].map(() => lockFile(file, options))
    const holder = agent(t, file, options)
    assert.equal(await holder.ask('try'), 'true', protocol)
    assert.equal(await lock.tryAcquire(), false, protocol)
    const waiting = lock.acquire()
    await holder.kill()
    await eventually(waiting, `'${protocol}': the lock of a process that was killed`)
    assert.equal(entriesBeside(file).length, 1, protocol)
    assert.equal(await other.tryAcquire(), false, protocol)
    const next = other.acquire()
    assert.equal(lock.held, true, protocol)
    lock.release()
    await eventually(next, `'${protocol}': the lock that was released`)
    other.release()
    assert.deepEqual(entriesBeside(file), [], protocol)
  }
}

const remount = (folder, option) => assert.equal(spawnSync('mount', ['-o', `remount,${option}`, folder]).status, 0)

/** What a file system lacks: the calls that fail there. FAT lacks all but the last. */
const WITHOUT_NAMELESS_FILES = { call: 'open', flags: 0o20000000, errno: EOPNOTSUPP }
const WITHOUT_LINKS = { call: 'link', errno: EPERM }
const WITHOUT_SYMLINKS = { call: 'symlink', errno: EPERM }
const WITHOUT_ATTRIBUTES = { call: 'setxattr', errno: EOPNOTSUPP }
const WITHOUT_RENAME_FLAGS = { call: 'rename', flags: 3, errno: EINVAL }
const FAT = [WITHOUT_NAMELESS_FILES, WITHOUT_LINKS, WITHOUT_SYMLINKS, WITHOUT_ATTRIBUTES]

/** `holder` takes the lock, keeps `next` out, and leaves nothing behind. */
async function excludes(holder, next, file) {
  assert.equal(await holder.ask('try'), 'true')
  assert.equal(entriesBeside(file).length, 1)
  assert.equal(await next.ask('try'), 'false')
  assert.equal(await holder.ask('release'), 'released')
  assert.deepEqual(entriesBeside(file), [])
}

/** Processes of ours for a lock in a new folder of `parent`, where these calls fail. */
function sceneWithout(t, parent, protocol, lacking, options = optionsOf(protocol)) {
  if (isUnavailable()) return t.skip(isUnavailable())
  const folder = fs.mkdtempSync(path.join(parent, 'test-'))
  const file = pathIn(folder, protocol)
  const rules = lacking.map((rule) => ({ folder, ...rule }))
  const start = () => new Subject(t, file, [process.execPath, AGENT, file, JSON.stringify(options)], rules)
  return {
    file,
    entry: ['proper-lockfile', 'mkdir', 'link', 'symlink'].includes(protocol) ? `${file}.lock` : file,
    start,
  }
}

locksOn(__filename, 'the file systems of locks by existence', () => {
  mounting('tmpfs', async (t, at) => behaves(t, await at.tmpfs()))
  mounting('ext4', async (t, at) => behaves(t, (await at.disk('ext4', 16)).folder))
  mounting('XFS', async (t, at) => behaves(t, (await at.disk('xfs', 320)).folder))
  mounting('btrfs', async (t, at) => behaves(t, (await at.disk('btrfs', 128)).folder))
  mounting('overlay', async (t, at) => {
    const folder = await at.tmpfs()
    await behaves(t, await at.overlay('overlay', path.join(folder, 'lower'), path.join(folder, 'upper')))
  })

  mounting('no room for one more entry: ENOSPC, and nothing is left; what is held is released', async (_, at) => {
    for (const protocol of PROTOCOLS) {
      const folder = await at.mount(protocol, ['-t', 'tmpfs', '-o', 'nr_inodes=10', 'none'])
      const file = pathIn(folder, protocol)
      fs.writeFileSync(path.join(folder, 'other'), '')
      const held = await lockFile(path.join(folder, 'other'), { protocol: 'mkdir' }).acquire()
      const lock = lockFile(file, optionsOf(protocol))
      assert.equal(await lock.tryAcquire(), true, protocol)
      lock.release()
      for (let i = 0; ; i++) {
        try {
          fs.writeFileSync(path.join(folder, `filler-${i}`), '')
        } catch (error) {
          assert.equal(error.code, 'ENOSPC')
          break
        }
      }
      const before = fs.readdirSync(folder)
      for (const call of [() => lock.acquire(), async () => lock.acquireSync(), () => lock.tryAcquire()]) {
        await assert.rejects(call, { code: 'ENOSPC', path: file }, protocol)
      }
      assert.equal(lock.held, false)
      assert.deepEqual(fs.readdirSync(folder), before)
      assert.equal(held.held, true)
      held.release()
      assert.equal(await lock.tryAcquire(), true, protocol)
      lock.release()
    }
  })

  mounting('no room for what stands in a lock file: ENOSPC, and nothing is left', async (_, at) => {
    for (const protocol of FILES) {
      const folder = await at.mount(protocol, ['-t', 'tmpfs', '-o', 'size=64k', 'none'])
      const filler = path.join(folder, 'filler')
      assert.throws(() => fs.writeFileSync(filler, Buffer.alloc(2 ** 20)), { code: 'ENOSPC' })
      const lock = lockFile(path.join(folder, protocol), optionsOf(protocol))
      await assert.rejects(lock.acquire(), { code: 'ENOSPC', syscall: 'write' }, protocol)
      assert.deepEqual(fs.readdirSync(folder), ['filler'], protocol)
      fs.truncateSync(filler)
      assert.equal(await lock.tryAcquire(), true, protocol)
      lock.release()
    }
  })

  mounting('a file system that cannot be written: EROFS', async (_, at) => {
    const folder = await at.tmpfs()
    pathIn(folder, 'proper-lockfile')
    remount(folder, 'ro')
    for (const protocol of PROTOCOLS) {
      const lock = lockFile(path.join(folder, protocol), optionsOf(protocol))
      for (const call of [() => lock.acquire(), async () => lock.acquireSync(), () => lock.tryAcquire()]) {
        await assert.rejects(call, { code: 'EROFS' }, protocol)
      }
      assert.equal(await lock.isLocked(), false, protocol)
      assert.equal(await lock.breakLock(), false, protocol)
    }
  })

  mounting(
    'what is held on a file system that cannot be written any more is left, and nobody holds it',
    async (t, at) => {
      const folder = await at.tmpfs()
      for (const protocol of ['mkdir', 'symlink']) {
        const file = path.join(folder, protocol)
        const lock = await lockFile(file, { protocol }).acquire()
        const other = agent(t, file, { protocol })
        remount(folder, 'ro')
        assert.equal(await other.ask('try'), 'false', protocol)
        assert.throws(() => lock.release(), { code: 'EROFS' }, protocol)
        assert.equal(lock.held, false, protocol)
        remount(folder, 'rw')
        await lock.breakLock()
        assert.equal(await other.ask('try'), 'true', protocol)
      }
    },
  )

  mounting(
    'FUSE whose program has neither links nor folders: an error, never a lock that locks nothing',
    async (_, at) => {
      const { folder } = await at.fuse('unsupported')
      for (const protocol of PROTOCOLS) {
        const lock = lockFile(pathIn(folder, protocol), optionsOf(protocol))
        const expected = FILES.includes(protocol)
          ? { code: 'ERR_LOCK_UNSUPPORTED', message: new RegExp(`'${protocol}' needs: link`) }
          : { code: 'ENOSYS' }
        await assert.rejects(lock.acquire(), expected, protocol)
        assert.throws(() => lock.acquireSync(), expected, protocol)
        assert.equal(lock.held, false)
      }
    },
  )

  for (const protocol of PROTOCOLS) {
    mounting(`as on FAT, '${protocol}'`, async (t, at) => {
      const scene = sceneWithout(t, at.folder, protocol, FAT)
      if (!scene) return
      const { file, entry, start } = scene
      const [holder, next] = [start(), start()]
      if (protocol === 'symlink') {
        assert.equal(await holder.ask('try'), 'EPERM')
        assert.deepEqual(entriesBeside(file), [])
        return
      }
      await excludes(holder, next, file)
      assert.equal(await next.ask('try'), 'true')
      await next.kill()
      // Without a mark, what stands in the file is judged, and what is in no file cannot be.
      const isJudged = !FOLDERS.includes(protocol) && protocol !== 'pid-file'
      if (isJudged) {
        assert.equal(await holder.ask('acquire'), 'waiting')
        assert.equal(await holder.line(), 'acquired')
      } else {
        assert.equal(await holder.ask('try'), 'false')
        assert.ok(fs.existsSync(entry))
        assert.equal(await lockFile(file, optionsOf(protocol)).breakLock(), true)
        assert.equal(await holder.ask('try'), 'true')
      }
      assert.equal(await holder.ask('release'), 'released')
      assert.deepEqual(entriesBeside(file), [])
    })

    mounting(`without links and exchange, '${protocol}'`, async (t, at) => {
      const scene = sceneWithout(t, at.folder, protocol, [...FAT, WITHOUT_RENAME_FLAGS])
      if (!scene) return
      const { file, entry, start } = scene
      const [holder, next] = [start(), start()]
      if (!FOLDERS.includes(protocol)) {
        assert.equal(await holder.ask('try'), protocol === 'symlink' ? 'EPERM' : 'ERR_LOCK_UNSUPPORTED')
        assert.deepEqual(entriesBeside(file), [])
        return
      }
      await excludes(holder, next, file)
      // What is stale is not taken over: it could be another one by the time that it is removed.
      fs.mkdirSync(entry)
      fs.utimesSync(entry, 1, 1)
      const { ino } = fs.statSync(entry)
      assert.equal(await next.ask('try'), 'false')
      assert.equal(fs.statSync(entry).ino, ino)
      assert.deepEqual(entriesBeside(file), [path.basename(entry)])
    })
  }
})
