'use strict'

// A process is killed before each of its system calls on the files of a semaphore: nothing stays held, and the others go on.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { semaphore } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { freePermits, permitHolder } = require('../support/permits.js')
const { AGENT, agent } = require('../support/processes.js')
const { isUnavailable, Subject } = require('../support/system-calls/subject.js')
const { eventually } = require('../support/waiting.js')

const options = { skip: isUnavailable() }
const PERMITS = 2
/** How many die at once, each in a folder of its own: most of the time they wait for programs that start. */
const AT_ONCE = 4

/** What the one who dies is about to do. `prepare` makes what it finds, `act` does it, and resolves when it has been done. */
const CASES = {
  'acquires the first permit there ever was, and releases it': {
    prepare: () => {},
    async act(it) {
      await acquire(it)
      assert.equal(await it.ask('release'), 'released')
    },
  },
  'brings another number of permits': { prepare: (_, file) => semaphore(file, 5).run(() => {}), act: acquire },
  'waits, and is granted one': {
    prepare: (t, file) => permitHolder(t, file, PERMITS, PERMITS),
    async act(it, holder) {
      it.say('acquire')
      assert.equal(await it.line(), 'waiting')
      assert.equal(await holder.ask('release'), 'released')
      assert.equal(await it.line(), 'acquired')
    },
  },
  'waits until its timeout': {
    prepare: (t, file) => permitHolder(t, file, PERMITS, PERMITS),
    async act(it) {
      it.say('acquire {"timeout":20}')
      assert.equal(await it.line(), 'waiting')
      assert.equal(await it.line(), 'ERR_LOCK_TIMEOUT')
    },
  },
}

async function acquire(it) {
  it.say('acquire')
  assert.equal(await it.line(), 'waiting')
  assert.equal(await it.line(), 'acquired')
}

/**
 * Has one die before its system call of this number in the folder of the semaphore. Returns false if it had done its work
 * before.
 */
async function dies(t, { prepare, act }, number) {
  const file = temporaryPath(t)
  const it = new Subject(t, file, [process.execPath, AGENT, file, JSON.stringify({ permits: PERMITS })])
  assert.equal(await it.ask('held'), '0')
  const holder = await prepare(t, file)
  it.follow({ call: 'any', folder: path.dirname(file), skip: number, times: 1, delay: 'for ever' })
  const done = act(it, holder).then(() => false)
  // Its process is killed: then it never says what the work has come to.
  done.catch(() => {})
  const isStopped = await Promise.race([done, it.stopped().then(() => true)])
  const { waiter, acquired } = await startWaiter(t, file, holder)
  await it.kill()
  await holder?.kill()
  assert.equal(await acquired, 'acquired', `killed before call ${number}`)
  await waiter.kill()
  assert.equal(await freePermits(t, file, PERMITS), PERMITS, `killed before call ${number}`)
  fs.rmSync(path.dirname(file), { recursive: true })
  return isStopped
}

/** One who comes while the other one is about to die. */
async function startWaiter(t, file) {
  const waiter = agent(t, file, { permits: PERMITS })
  assert.equal(await waiter.ask('acquire'), 'waiting')
  const acquired = eventually(waiter.line(), 'the permit')
  acquired.catch(() => {})
  return { waiter, acquired }
}

for (const [what, each] of Object.entries(CASES)) {
  test(`a process that ${what} may be killed before any system call`, options, async (t) => {
    let number = 0
    for (let isStopped = true; isStopped; ) {
      const stopped = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => dies(t, each, number + i)))
      number += stopped.filter(Boolean).length
      isStopped = stopped.every(Boolean)
    }
    // It has made some.
    assert.ok(number > 0, `${number} calls`)
    t.diagnostic(`killed before each of ${number} calls`)
  })
}
