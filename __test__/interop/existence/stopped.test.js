'use strict'

// A process that is stopped while it holds a lock, as a debugger, a suspended shell job or a laptop that sleeps stops it: it
// does not renew its lock meanwhile. Whoever goes on with a lock that another one has taken over by then is told of it, and
// leaves that alone.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { describe, test } = require('node:test')

const { agent } = require('../../support/processes.js')
const { until } = require('../../support/waiting.js')
const { entryOf, newPath, PEERS, talkerOf } = require('./peers.js')

const HOUR = 3600

const lstat = (entry) => fs.lstatSync(entry, { throwIfNoEntry: false, bigint: true })

/** Stops a process, and waits until it stands. */
async function stop({ pid }) {
  process.kill(pid, 'SIGSTOP')
  await until(() => /^State:\s+T/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8')), 'the stop')
}

const goOn = ({ pid }) => process.kill(pid, 'SIGCONT')

/**
 * Waits until this entry is stale by the options of both programs; where they have none, it has not been renewed for an hour
 * then.
 */
async function becomesOld(entry, { stale } = {}) {
  const now = () => BigInt(Date.now())
  if (stale) return until(() => now() - lstat(entry).ctimeMs > stale, 'an entry that is stale')
  const then = Date.now() / 1000 - HOUR
  fs.lutimesSync(entry, then, then)
}

/** By the name of a peer: the options by which it takes the lock of a live process that is stopped. */
const ROBBERS = {
  'proper-lockfile': PEERS['proper-lockfile'].stale,
  lockfile: PEERS.lockfile.stale,
  'lockfile-sync': PEERS['lockfile-sync'].stale,
  // They do not look at the process, but at the time of the file.
  dotlockfile: { pid: false },
  'lockfile-create': { pid: false },
}

for (const [name, { protocol, options: settings, stale, dead }] of Object.entries(PEERS)) {
  const own = { protocol, ...stale }
  const options = { ...settings, skip: settings.skip || (process.platform !== 'linux' && 'only on Linux') }

  const scene = (t) => {
    const file = newPath(t, protocol)
    const [ours, other] = [0, 1].map(() => agent(t, file, own))
    return { file, entry: entryOf(protocol, file), ours, other, peer: (with_) => talkerOf(t, name, file, with_) }
  }

  describe(`'${protocol}' and ${name}`, { concurrency: 3 }, () => {
    test(
      'a process of ours that is stopped keeps its lock against others of ours, however old that looks',
      options,
      async (t) => {
        const { entry, ours, other } = scene(t)
        assert.equal(await ours.ask('try'), 'true')
        await stop(ours)
        await becomesOld(entry, stale)
        const { ino } = lstat(entry)
        assert.equal(await other.ask('try'), 'false')
        assert.equal(lstat(entry).ino, ino)
        goOn(ours)
        assert.equal(await ours.ask('held'), 'true')
        assert.equal(await ours.ask('release'), 'released')
        assert.equal(await other.ask('try'), 'true')
      },
    )

    const robs = ROBBERS[name]
    if (!robs) {
      test(`a process of ours that is stopped keeps its lock against ${name}`, options, async (t) => {
        const { entry, ours, peer } = scene(t)
        const neighbour = peer()
        assert.equal(await ours.ask('try'), 'true')
        await stop(ours)
        if (!stale) await becomesOld(entry)
        assert.equal(await neighbour.ask('try'), 'false')
        goOn(ours)
        assert.equal(await ours.ask('release'), 'released')
        assert.equal(await neighbour.ask('try'), 'true')
      })
      return
    }

    test(
      `when ${name} has taken the lock of a process of ours that is stopped, that is told, and leaves it alone`,
      options,
      async (t) => {
        const { entry, ours, other, peer } = scene(t)
        const neighbour = peer(robs)
        assert.equal(await ours.ask('try'), 'true')
        await stop(ours)
        if (!stale) await becomesOld(entry)
        assert.equal(await neighbour.ask('acquire'), 'waiting')
        assert.equal(await neighbour.line(), 'acquired')
        const taken = lstat(entry)
        goOn(ours)
        await until(async () => (await ours.ask('lost')) === 'true', 'the loss')
        assert.equal(await ours.ask('held'), 'false')
        assert.equal(await ours.ask('release'), 'ERR_LOCK_LOST')
        assert.equal(lstat(entry).ino, taken.ino)
        if (name === 'proper-lockfile') {
          await until(() => lstat(entry).mtimeNs !== taken.mtimeNs, 'a renewal by its new holder')
          assert.equal(await neighbour.ask('compromised'), 'nothing')
        } else {
          assert.deepEqual(lstat(entry), taken)
        }
        assert.equal(await other.ask('try'), 'false')
        assert.equal(await neighbour.ask('release'), 'released')
        assert.equal(await ours.ask('try'), 'true')
      },
    )

    if (dead !== 'stale') return
    test(
      `ours takes the stale lock of a ${name} that is stopped, and keeps it or is told that it is gone`,
      options,
      async (t) => {
        const { entry, ours, other, peer } = scene(t)
        const neighbour = peer(stale)
        assert.equal(await neighbour.ask('try'), 'true')
        await stop(neighbour)
        assert.equal(await ours.ask('acquire'), 'waiting')
        assert.equal(await ours.line(), 'acquired')
        const { ino } = lstat(entry)
        goOn(neighbour)
        if (name === 'proper-lockfile') {
          await until(async () => (await neighbour.ask('compromised')) === 'ECOMPROMISED', 'its loss')
          assert.equal(await neighbour.ask('release'), 'ERELEASED')
          assert.equal(lstat(entry).ino, ino)
          assert.equal(await other.ask('try'), 'false')
          assert.equal(await ours.ask('release'), 'released')
        } else {
          // It removes whatever has that name.
          assert.equal(await neighbour.ask('release'), 'released')
          await until(async () => (await ours.ask('lost')) === 'true', 'the loss')
          assert.equal(await ours.ask('release'), 'ERR_LOCK_LOST')
        }
        assert.equal(await other.ask('try'), 'true')
      },
    )
  })
}
