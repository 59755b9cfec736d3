'use strict'

// Each protocol beside the real programs that have it: they exclude each other, and the next one gets in when the lock is
// released, when its holder is dead, and when it is stale.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { describe, test } = require('node:test')

const { agent } = require('../../support/processes.js')
const { acquires, Agent, getsInAfter, killing, neighbourGetsInAfter, neighbourRefused } = require('../neighbour.js')
const { ownLock, refused, testNeighbour } = require('../neighbour.js')
const { entryOf, newPath, PEERS, peerOf } = require('./peers.js')

/** Longer than a test is patient: nobody gets in because a lock is stale. */
const NEVER = 60_000

/** How long a live lock is looked at, in milliseconds: twice the time after which it would be stale without renewal. */
const HELD = 4200

/** Most of it is waiting for processes. */
const SIDE_BY_SIDE = { concurrency: 4 }

const exists = (entry) => fs.lstatSync(entry, { throwIfNoEntry: false }) !== undefined

for (const [name, { protocol, options, stale = {}, dead }] of Object.entries(PEERS)) {
  const own = { protocol, ...stale }
  /** A path, its lock entry, a lock of ours, and a process that starts one of theirs. */
  const scene = (t, ownOptions = own) => {
    const file = newPath(t, protocol)
    return {
      file,
      entry: entryOf(protocol, file),
      lock: ownLock(t, file, ownOptions),
      peer: (peerOptions = stale) => peerOf(t, name, file, peerOptions),
      process: () => new Agent(agent(t, file, ownOptions)),
    }
  }

  describe(`'${protocol}' and ${name}`, SIDE_BY_SIDE, () => {
    testNeighbour(name, {
      options,
      start: (t, file) => peerOf(t, name, file),
      own: { protocol },
      newPath: (t) => newPath(t, protocol),
      outlived: true,
    })

    test('nothing is left when both have released', options, async (t) => {
      const { file, entry, lock, peer } = scene(t)
      const neighbour = peer()
      await acquires(neighbour)
      await getsInAfter(t, lock, () => neighbour.release())
      await neighbourGetsInAfter(neighbour, () => lock.release())
      await getsInAfter(t, lock, () => neighbour.release())
      lock.release()
      const folder = entry.slice(0, entry.lastIndexOf('/'))
      assert.deepEqual(
        fs.readdirSync(folder).filter((each) => each !== 'test' || file === entry),
        [],
      )
    })

    test('a process of ours that is killed gives the lock to the next one of ours at once', options, async (t) => {
      const { lock, process } = scene(t, dead === 'stale' ? { protocol, stale: NEVER } : { protocol })
      const holder = process()
      await acquires(holder)
      await refused(lock)
      await getsInAfter(t, lock, killing(holder))
    })

    if (dead !== 'never') {
      test(`${name} gets the lock of a process of ours that was killed: ${dead}`, options, async (t) => {
        const { peer, process } = scene(t)
        const holder = process()
        await acquires(holder)
        const neighbour = peer()
        await neighbourRefused(neighbour)
        await neighbourGetsInAfter(neighbour, killing(holder))
      })

      test(`ours gets the lock of a ${name} that was killed: ${dead}`, options, async (t) => {
        const { lock, peer } = scene(t)
        const holder = peer()
        await acquires(holder)
        await refused(lock)
        await getsInAfter(t, lock, killing(holder))
      })
    } else {
      test(`the lock of a ${name} that was killed is held until it is broken`, options, async (t) => {
        const { entry, lock, peer } = scene(t)
        const holder = peer()
        await acquires(holder)
        await killing(holder)()
        await refused(lock)
        await getsInAfter(t, lock, async () => assert.equal(await lock.breakLock(), true))
        assert.ok(exists(entry))
      })
    }

    if (stale.stale) {
      test(
        'a lock of ours does not become stale while it is held, even if the event loop is blocked',
        options,
        async (t) => {
          const { file, peer } = scene(t)
          const holder = agent(t, file, own)
          assert.equal(await holder.ask('try'), 'true')
          holder.say(`block {"ms":${HELD}}`)
          const neighbour = peer()
          const { outcome } = await neighbour.acquire({ timeout: HELD })
          assert.equal(await outcome, 'ERR_LOCK_TIMEOUT')
          assert.equal(await holder.line(), 'blocked')
          assert.equal(await holder.ask('held'), 'true')
          assert.equal(await holder.ask('lost'), 'false')
          assert.equal(await holder.ask('release'), 'released')
          assert.equal(await neighbour.try(), true)
        },
      )
    }
  })
}
