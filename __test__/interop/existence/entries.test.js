'use strict'

// Lock entries that are not what one expects: of another kind, with other contents, replaced while they are held, or in a
// folder where nothing can be done. A clear error or the documented verdict, and what belongs to others stays as it is.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../../..')
const { AGENT, agent, Talker } = require('../../support/processes.js')
const { onUnix, requireAll } = require('../../support/systems.js')
const { eventually } = require('../../support/waiting.js')
const { getsInAfter, ownLock, refused } = require('../neighbour.js')
const { newPath, PROTOCOLS } = require('./peers.js')
const { lstat, OPTIONS, scene } = require('./scene.js')

/** All that can be said of an entry and what is in it. */
function stateOf(entry) {
  const stat = lstat(entry)
  if (!stat) return undefined
  const { ino, mode, mtimeNs } = stat
  const state = { ino, mode, mtimeNs }
  if (stat.isFile()) state.content = fs.readFileSync(entry, 'latin1')
  if (stat.isSymbolicLink()) state.target = fs.readlinkSync(entry)
  if (stat.isDirectory()) state.entries = fs.readdirSync(entry)
  return state
}

const makeFifo = (entry) => assert.equal(spawnSync('mkfifo', [entry]).status, 0)

/** Entries that no program of these leaves, by what they are. Each is made so that nothing in it is a record. */
const STRANGE = {
  'an empty file': (entry) => fs.writeFileSync(entry, ''),
  'a file with garbage': (entry) => fs.writeFileSync(entry, Buffer.from([0, 255, 10, 13, 128])),
  'a large file': (entry) => fs.writeFileSync(entry, '1'.repeat(100_000)),
  'a FIFO': makeFifo,
  'an empty folder': (entry) => fs.mkdirSync(entry),
  'a folder with something in it': (entry) => {
    fs.mkdirSync(entry)
    fs.writeFileSync(path.join(entry, 'data'), 'precious')
  },
  'a symbolic link to nothing': (entry) => fs.symlinkSync('nothing', entry),
  'a symbolic link to a file': (entry) => {
    fs.writeFileSync(`${entry}.target`, 'precious')
    fs.symlinkSync(`${entry}.target`, entry)
  },
  'a symbolic link to itself': (entry) => fs.symlinkSync(path.basename(entry), entry),
}

/** The answer of a try, or the code of its error. */
async function tried(lock) {
  try {
    return await eventually(lock.tryAcquire(), 'the answer of a try')
  } catch (error) {
    assert.match(error.code, /^(E[A-Z]+|ERR_LOCK_UNSUPPORTED)$/, error.stack)
    return error.code
  }
}

describe('an entry that is already there', { concurrency: 4 }, () => {
  for (const protocol of PROTOCOLS) {
    for (const [what, make] of Object.entries(STRANGE)) {
      test(`${what}, for '${protocol}': is not taken at once, stays as it is, and can be broken`, onUnix, async (t) => {
        const { entry, lock } = scene(t, protocol)
        make(entry)
        const before = stateOf(entry)
        const beside = fs.readdirSync(path.dirname(entry))
        assert.notEqual(await tried(lock), true)
        assert.equal(lock.held, false)
        await lock.isLocked().catch(({ code }) => assert.match(code, /^E/))
        await lock.holders().catch(({ code }) => assert.match(code, /^E/))
        assert.deepEqual(stateOf(entry), before)
        assert.deepEqual(fs.readdirSync(path.dirname(entry)), beside)

        const broken = await lock.breakLock().catch(({ code }) => code)
        if (broken !== true) {
          assert.match(String(broken), /^(E[A-Z]+|ERR_LOCK_UNSUPPORTED)$/)
          assert.deepEqual(stateOf(entry), before)
          return
        }
        assert.equal(lstat(entry), undefined)
        if (fs.existsSync(`${entry}.target`)) assert.equal(fs.readFileSync(`${entry}.target`, 'utf8'), 'precious')
        assert.equal(await lock.tryAcquire(), true)
      })
    }
  }
})

/** What others do to the entry of a lock that is held: by what is there then. */
const ROBBERIES = {
  deleted: (entry) => fs.rmSync(entry, { recursive: true }),
  'moved away': (entry) => fs.renameSync(entry, `${entry}.moved`),
  'replaced by a file': (entry) => {
    ROBBERIES.deleted(entry)
    fs.writeFileSync(entry, 'theirs')
  },
  'replaced by a folder': (entry) => {
    ROBBERIES.deleted(entry)
    fs.mkdirSync(entry)
  },
  'replaced by a folder that is not empty': (entry) => {
    ROBBERIES.deleted(entry)
    STRANGE['a folder with something in it'](entry)
  },
  'replaced by a symbolic link': (entry) => {
    ROBBERIES.deleted(entry)
    fs.symlinkSync('theirs', entry)
  },
  'replaced by a symbolic link to it': (entry) => {
    fs.renameSync(entry, `${entry}.moved`)
    fs.symlinkSync(`${entry}.moved`, entry)
  },
  'replaced by a FIFO': (entry) => {
    ROBBERIES.deleted(entry)
    makeFifo(entry)
  },
}

describe('an entry of ours', { concurrency: 4 }, () => {
  for (const protocol of PROTOCOLS) {
    for (const [what, rob] of Object.entries(ROBBERIES)) {
      test(
        `'${protocol}': ${what} while it is held: the lock is lost, and the release leaves that alone`,
        onUnix,
        async (t) => {
          const { entry, lock } = scene(t, protocol)
          await lock.acquire()
          const { lost } = lock
          const told = new Promise((resolve) => lost.addEventListener('abort', resolve))
          rob(entry)
          const after = stateOf(entry)
          await eventually(told, 'the news of the loss')
          assert.equal(lost.reason.code, 'ERR_LOCK_LOST')
          assert.equal(lock.held, false)
          assert.throws(() => lock.release(), { code: 'ERR_LOCK_LOST' })
          assert.deepEqual(stateOf(entry), after)
          assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
        },
      )
    }

    test(`'${protocol}': replaced just before the release: that fails, and leaves it alone`, onUnix, async (t) => {
      const { entry, lock } = scene(t, protocol)
      await lock.acquire()
      ROBBERIES['replaced by a file'](entry)
      const after = stateOf(entry)
      assert.throws(() => lock.release(), { code: 'ERR_LOCK_LOST' })
      assert.deepEqual(stateOf(entry), after)
      assert.equal(lock.held, false)
    })

    test(`'${protocol}': a disposal of a lost lock is quiet, and leaves alone what is there`, onUnix, async (t) => {
      const { entry, lock } = scene(t, protocol)
      await lock.acquire()
      ROBBERIES['replaced by a folder'](entry)
      const after = stateOf(entry)
      lock[Symbol.dispose]()
      assert.deepEqual(stateOf(entry), after)
      assert.equal(lock.held, false)
    })

    test(`'${protocol}': something that is put into it, or beside it, takes nothing from it`, onUnix, async (t) => {
      const { entry, lock } = scene(t, protocol)
      await lock.acquire()
      const added = lstat(entry).isDirectory() ? path.join(entry, 'added') : `${entry}.added`
      if (lstat(entry).isSymbolicLink()) fs.writeFileSync(added, '')
      // A third link of the entry, as backups make: Python's lockfile takes it for a loss.
      else if (lstat(entry).isFile()) fs.linkSync(entry, added)
      else fs.writeFileSync(added, '')
      await refused(lockFile(lock.path, { protocol, ...OPTIONS[protocol] }))
      assert.equal(lock.held, true)
      if (lstat(entry).isDirectory()) {
        // It cannot be removed with what is in it, which is not ours.
        const { lost } = lock
        assert.throws(() => lock.release(), { code: 'ENOTEMPTY', syscall: 'rmdir', path: lock.path })
        assert.equal(lost.aborted, false)
        assert.equal(lock.held, false)
        assert.ok(fs.existsSync(added))
        assert.throws(() => lock.release(), { code: 'ERR_LOCK_NOT_HELD' })
      } else {
        lock.release()
        assert.equal(lstat(entry), undefined)
      }
    })

    test(`'${protocol}': contents that others have changed do not matter to its holder`, onUnix, async (t) => {
      const { entry, lock } = scene(t, protocol)
      await lock.acquire()
      if (!lstat(entry).isFile()) return
      fs.writeFileSync(entry, '1\nelsewhere\n')
      assert.equal(lock.held, true)
      lock.release()
      assert.equal(lstat(entry), undefined)
    })
  }
})

describe('a time of an entry', { concurrency: 4 }, () => {
  const seconds = (n) => () => new Date(Date.now() + n * 1000)
  const hours = (n) => seconds(n * 3600)

  for (const [what, protocol, make, timeOf, taken] of [
    ['in the future', 'proper-lockfile', 'an empty folder', hours(24), false],
    ['just not stale', 'proper-lockfile', 'an empty folder', seconds(-3), false],
    ['long ago', 'proper-lockfile', 'an empty folder', hours(-24), true],
    ['before 1970', 'proper-lockfile', 'an empty folder', () => new Date(-1000), true],
    ['in the future', 'dotlock', 'an empty file', hours(24), false],
    ['long ago, by the clock of others', 'dotlock', 'an empty file', hours(-24), false],
    ['long ago', 'soft-file', 'an empty file', hours(-24), false],
    ['long ago', 'link', 'an empty file', hours(-24), false],
    ['long ago', 'mkdir', 'an empty folder', hours(-24), false],
    ['long ago', 'pid-file', 'an empty file', hours(-24), false],
  ]) {
    test(`${what}, of '${protocol}': ${taken ? 'taken' : 'held'}`, onUnix, async (t) => {
      const { entry, lock } = scene(t, protocol)
      STRANGE[make](entry)
      const time = timeOf()
      fs.utimesSync(entry, time, time)
      const before = stateOf(entry)
      assert.equal(await lock.tryAcquire(), taken)
      if (!taken) assert.deepEqual(stateOf(entry), before)
    })
  }

  test(
    "of a stale folder of 'proper-lockfile' with something in it: an error or held, and nothing is removed",
    onUnix,
    async (t) => {
      const { entry, lock } = scene(t, 'proper-lockfile')
      STRANGE['a folder with something in it'](entry)
      fs.utimesSync(entry, hours(-1)(), hours(-1)())
      const before = stateOf(entry)
      assert.notEqual(await tried(lock), true)
      assert.deepEqual(stateOf(entry), before)
      assert.deepEqual(fs.readdirSync(path.dirname(entry)), ['test', 'test.lock'])
    },
  )

  test(
    "of a stale file at the name of 'proper-lockfile': an error or held, and nothing is removed",
    onUnix,
    async (t) => {
      const { entry, lock } = scene(t, 'proper-lockfile')
      fs.writeFileSync(entry, 'precious')
      fs.utimesSync(entry, hours(-1)(), hours(-1)())
      const before = stateOf(entry)
      assert.notEqual(await tried(lock), true)
      assert.deepEqual(stateOf(entry), before)
    },
  )

  test("of ours, set to the future by others: 'proper-lockfile' renews it, and is not lost", onUnix, async (t) => {
    const file = newPath(t, 'proper-lockfile')
    const lock = ownLock(t, file, { protocol: 'proper-lockfile', stale: 2000, update: 1000 })
    await lock.acquire()
    fs.utimesSync(`${file}.lock`, hours(1)(), hours(1)())
    const end = performance.now() + 20_000
    while (Math.abs(Number(lstat(`${file}.lock`).mtimeMs) - Date.now()) > 5000) {
      assert.ok(performance.now() < end, 'it was not renewed')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.equal(lock.held, true)
    lock.release()
  })

  for (const protocol of PROTOCOLS) {
    test(`of ours, of '${protocol}', whose folder is replaced: the loss is told`, onUnix, async (t) => {
      const { lock, entry, options } = scene(t, protocol)
      await lock.acquire()
      const folder = path.dirname(entry)
      const told = once(lock.lost, 'abort')
      fs.renameSync(folder, `${folder}.moved`)
      fs.mkdirSync(folder)
      t.after(() => fs.rmSync(`${folder}.moved`, { recursive: true }))
      if (protocol === 'proper-lockfile') fs.writeFileSync(lock.path, '')
      const other = lockFile(lock.path, options)
      assert.equal(await other.tryAcquire(), true)
      await eventually(told, 'the loss')
      assert.equal(lock.held, false)
      assert.throws(() => lock.release(), { code: 'ERR_LOCK_LOST' })
      assert.equal(other.held, true)
      other.release()
    })
  }

  test("of ours, of 'mkdir': it is renewed, so that proper-lockfile does not find it stale", onUnix, async (t) => {
    const { lock, entry } = scene(t, 'mkdir')
    await lock.acquire()
    fs.utimesSync(entry, hours(-1)(), hours(-1)())
    const end = performance.now() + 20_000
    while (Date.now() - Number(lstat(entry).mtimeMs) > 5000) {
      assert.ok(performance.now() < end, 'it was not renewed')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.equal(lock.held, true)
    lock.release()
  })

  test("of 'proper-lockfile', whose file is gone: it can be found and broken all the same", onUnix, async (t) => {
    const { file, lock, entry } = scene(t, 'proper-lockfile')
    fs.mkdirSync(entry)
    fs.rmSync(file)
    assert.equal(await lock.isLocked(), true)
    assert.equal(await lock.breakLock(), true)
    assert.equal(await lock.breakLock(), false)
  })

  test(
    "of ours, set to the past by others: 'proper-lockfile' is lost, and leaves the entry alone",
    onUnix,
    async (t) => {
      const file = newPath(t, 'proper-lockfile')
      const lock = ownLock(t, file, { protocol: 'proper-lockfile', stale: 2000, update: 1000 })
      await lock.acquire()
      // Another program that has seen this time may be about to remove the entry.
      fs.utimesSync(`${file}.lock`, hours(-1)(), hours(-1)())
      await eventually(once(lock.lost, 'abort'), 'the loss')
      assert.equal(lock.held, false)
      assert.throws(() => lock.release(), { code: 'ERR_LOCK_LOST' })
      assert.ok(lstat(`${file}.lock`))
    },
  )
})

/** Runs an agent as another user than root. */
const nobody = (t, file, options) =>
  new Talker(t, 'setpriv', [
    ...['--reuid', '65534', '--regid', '65534', '--clear-groups', '--'],
    ...[process.execPath, AGENT, file, JSON.stringify(options)],
  ])

const asNobody = spawnSync(
  'setpriv',
  ['--reuid', '65534', '--clear-groups', process.execPath, '-e', `require(${JSON.stringify(AGENT)})`],
  { input: '' },
)
const needsNobody = { skip: asNobody.status !== 0 && !requireAll && 'no other user can run this' }

describe('a folder in which one may not write', { concurrency: 4 }, () => {
  for (const protocol of PROTOCOLS) {
    test(`'${protocol}': EACCES, at once, and nothing changes`, needsNobody, async (t) => {
      const { file, entry, lock, options } = scene(t, protocol)
      const folder = path.dirname(file)
      fs.chmodSync(folder, 0o555)
      const poor = nobody(t, file, options)
      assert.equal(await poor.ask('try'), 'EACCES')
      assert.equal(await poor.ask('sync'), 'EACCES')
      assert.equal(await poor.ask('acquire'), 'waiting')
      assert.equal(await poor.line(), 'EACCES')
      assert.equal(lstat(entry), undefined)
      await lock.acquire()
      assert.match(await poor.ask('try'), /^(false|EACCES)$/)
      assert.equal(lock.held, true)
      lock.release()
    })
  }

  test('but a lock that is held by another user can be waited for', needsNobody, async (t) => {
    for (const protocol of PROTOCOLS) {
      const { file, lock, options } = scene(t, protocol)
      fs.chmodSync(path.dirname(file), 0o777)
      await lock.acquire()
      const other = nobody(t, file, options)
      assert.equal(await other.ask('try'), 'false', protocol)
      assert.equal(await other.ask('acquire'), 'waiting', protocol)
      lock.release()
      assert.equal(await other.line(), 'acquired', protocol)
      await refused(lock)
      assert.equal(await other.ask('release'), 'released', protocol)
      assert.equal(await lock.tryAcquire(), true, protocol)
    }
  })
})

describe('a fork or a child', { concurrency: 4 }, () => {
  for (const protocol of PROTOCOLS) {
    test(`'${protocol}': a child that outlives the holder keeps nothing`, onUnix, async (t) => {
      const { file, lock, options } = scene(t, protocol)
      const holder = agent(t, file, options)
      assert.equal(await holder.ask('try'), 'true')
      assert.equal(await holder.ask('child'), 'started')
      await getsInAfter(t, lock, () => holder.kill())
    })
  }
})
