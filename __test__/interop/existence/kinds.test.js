'use strict'

// Programs of different protocols at one name: an entry of any kind excludes them all, and nobody of ours takes, or takes
// away, what is of a kind that its protocol does not judge.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { describe, test } = require('node:test')

const { lockFile } = require('../../..')
const { temporaryPath } = require('../../support/folders.js')
const { eventually } = require('../../support/waiting.js')
const { ownLock } = require('../neighbour.js')
const { entryOf, PEERS, PROTOCOLS, talkerOf } = require('./peers.js')

const lstat = (entry) => fs.lstatSync(entry, { throwIfNoEntry: false, bigint: true })

/** The path by which a lock of this protocol has the entry `entry`, which ends with ".lock". */
const pathOf = (protocol, entry) => (entryOf(protocol, entry) === entry ? entry : entry.slice(0, -'.lock'.length))

/** The name of an entry. The file beside it is there, as 'proper-lockfile' wants it. */
function newEntry(t) {
  const entry = temporaryPath(t)
  fs.writeFileSync(pathOf('link', entry), '')
  return entry
}

/** Longer than any protocol waits, by the clock of the machine. */
function age(entry) {
  const then = Date.now() / 1000 - 3600
  fs.lutimesSync(entry, then, then)
}

describe('while another program holds the lock', { concurrency: 4 }, () => {
  for (const [name, { protocol, options }] of Object.entries(PEERS)) {
    test(`${name}: ours of every protocol is refused, and leaves its entry alone`, options, async (t) => {
      const entry = newEntry(t)
      const holder = talkerOf(t, name, pathOf(protocol, entry))
      assert.equal(await holder.ask('try'), 'true')
      for (const old of [false, true]) {
        if (old) age(entry)
        const before = lstat(entry)
        for (const own of PROTOCOLS) {
          // By this rule a folder is stale then. It is not taken all the same if there is something in it.
          const isStale = old && own === 'proper-lockfile' && lstat(entry).isDirectory()
          if (isStale && name === 'proper-lockfile') continue
          const lock = ownLock(t, pathOf(own, entry), { protocol: own })
          assert.equal(await lock.tryAcquire(), false, own)
          assert.equal(lock.tryAcquireSync(), false, own)
          await assert.rejects(lock.acquire({ timeout: 5 }), { code: 'ERR_LOCK_TIMEOUT' }, own)
          assert.equal(await lock.isLocked(), !isStale, own)
          const { ino, mtimeNs, ctimeNs } = lstat(entry)
          assert.deepEqual([ino, mtimeNs, ctimeNs], [before.ino, before.mtimeNs, before.ctimeNs], own)
        }
      }
      assert.equal(await holder.ask('release'), 'released')
      assert.equal(lstat(entry), undefined)
    })
  }
})

/** What a program answers that finds an entry of a kind that it does not expect, where that is not "false". */
const ANSWERS = {
  SoftFileLock: { folder: 'IsADirectoryError' },
  // They do not see a link to nothing where they look whether it is stale, and remove it.
  dotlockfile: { symlink: 'true' },
  'lockfile-create': { symlink: 'true' },
}

/** The same, if nothing has renewed the entry for an hour. */
const ANSWERS_TO_OLD = {
  'proper-lockfile': { file: 'ENOTDIR' },
}

function kindOf(entry) {
  const stat = lstat(entry)
  return stat.isDirectory() ? 'folder' : stat.isFile() ? 'file' : 'symlink'
}

describe('while ours holds the lock', { concurrency: 4 }, () => {
  for (const protocol of PROTOCOLS) {
    for (const [name, { protocol: theirs, options }] of Object.entries(PEERS)) {
      if (theirs === protocol) continue

      test(`'${protocol}': ${name} is refused, or the loss is told`, options, async (t) => {
        const entry = newEntry(t)
        const lock = ownLock(t, pathOf(protocol, entry), { protocol })
        await lock.acquire()
        const { lost } = lock
        const told = new Promise((resolve) => lost.addEventListener('abort', resolve))
        const kind = kindOf(entry)
        const other = talkerOf(t, name, pathOf(theirs, entry))
        const answer = ANSWERS[name]?.[kind] ?? 'false'
        assert.equal(await other.ask('try'), answer)
        if (answer === 'true') {
          await eventually(told, 'the news of the loss')
          assert.throws(() => lock.release(), { code: 'ERR_LOCK_LOST' })
          assert.equal(await other.ask('release'), 'released')
          return
        }
        // A folder is renewed every few seconds, since proper-lockfile would take it otherwise.
        if (kind !== 'folder') {
          age(entry)
          assert.equal(await other.ask('try'), ANSWERS_TO_OLD[name]?.[kind] ?? 'false')
        }
        assert.equal(lost.aborted, false)
        lock.release()
        assert.equal(lstat(entry), undefined)
        assert.equal(await other.ask('try'), 'true')
      })
    }
  }
})

describe('is_locked() and break_lock()', { concurrency: 4 }, () => {
  test("of Python's lockfile, and ours, by the kind of the entry", PEERS.LinkLockFile.options, async (t) => {
    for (const protocol of PROTOCOLS) {
      const entry = newEntry(t)
      const lock = ownLock(t, pathOf(protocol, entry), { protocol })
      await lock.acquire()
      const kind = kindOf(entry)
      for (const [name, seen, answer] of [
        ['LinkLockFile', kind !== 'symlink', { folder: 'IsADirectoryError', symlink: 'None' }[kind]],
        ['MkdirLockFile', kind !== 'symlink', { file: 'NotADirectoryError', symlink: 'None' }[kind]],
        ['SymlinkLockFile', kind === 'symlink', { file: 'None', folder: 'None' }[kind]],
      ]) {
        const python = talkerOf(t, name, pathOf('link', entry))
        assert.equal(await python.ask('is_locked'), seen ? 'True' : 'False', `${name} beside ${protocol}`)
        // It breaks what is of its kind: see python-lockfile.test.js.
        if (answer !== undefined) assert.equal(await python.ask('break_lock'), answer, `${name} beside ${protocol}`)
        assert.equal(lock.held, true, `${name} beside ${protocol}`)
      }
      for (const other of PROTOCOLS)
        assert.equal(await lockFile(pathOf(other, entry), { protocol: other }).isLocked(), true)
      lock.release()
    }
  })

  for (const [name, { protocol, options }] of Object.entries(PEERS)) {
    test(`breakLock() removes what ${name} has made, by its protocol or another`, options, async (t) => {
      const entry = newEntry(t)
      for (const own of new Set([protocol, 'link', 'mkdir', 'symlink'])) {
        const holder = talkerOf(t, name, pathOf(protocol, entry))
        assert.equal(await holder.ask('try'), 'true', own)
        const lock = ownLock(t, pathOf(own, entry), { protocol: own })
        assert.equal(await lock.breakLock(), true, own)
        assert.equal(lstat(entry), undefined, own)
        assert.equal(await lock.tryAcquire(), true, own)
        lock.release()
        await holder.kill()
      }
    })
  }
})
