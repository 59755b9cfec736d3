'use strict'

// A worker thread dies at each step of the life of its lock, in each way that there is to die, and its process lives on: the
// next one gets in, and nothing of the dead is left in the process. LOCKET_DEATHS: how often each is tried.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { isFree } = require('../support/locks.js')
const { agent } = require('../support/processes.js')
const { bring, ROUNDS, STEPS, timesAfter } = require('../support/system-calls/steps.js')
const { subject } = require('../support/system-calls/subject.js')
const { onLinux } = require('../support/systems.js')
const { eventually, staysPending } = require('../support/waiting.js')

/** The ways to die, and what is said before. `own`: by its own code, which has to run for it. */
const DEATHS = {
  'worker.terminate()': { command: 'terminate', says: 'terminating' },
  'process.exit() in it': { command: 'exit', own: true },
  'an uncaught error': { command: 'throw', says: 'soon', own: true },
}

/** How the lock is asked for. `blocks`: the thread of JavaScript itself. */
const FORMS = { acquire: {}, sync: { blocks: true } }

/** The thread is dead once this has resolved. `busy`: it is in a call that has to return before. */
async function die(it, { command, says }, stop, busy) {
  it.say(command)
  if (says) assert.equal(await it.line(), says)
  if (busy) it.follow()
  let line = await it.line()
  // What it was asked to do, it may have done by then, and said so.
  if (busy && line !== 'ended') line = await it.line()
  assert.equal(line, 'ended')
  if (stop && !busy) it.follow()
}

const times = timesAfter('deaths of threads')

for (const [step, where] of Object.entries(STEPS)) {
  test(`a worker thread dies ${step}`, onLinux, async (t) => {
    const it = await subject(t, require.resolve('./thread-host.js'))
    if (!it) return
    for (const [form, { blocks }] of Object.entries(FORMS)) {
      const busy = Boolean(where.stop && (where.busy || blocks))
      const ways = Object.entries(DEATHS).filter(([, { own }]) => !(own && (busy || (blocks && where.waits))))
      for (const [how, death] of ways.flatMap((way) => Array(ROUNDS).fill(way))) {
        const what = `${form}, ${how}`
        assert.equal(await it.ask('start'), 'started')
        const other = await bring(t, it, form, where, 'for now')
        const next = agent(t, it.file)
        assert.equal(await next.ask('acquire'), 'waiting')
        const acquired = next.line()
        if (where.holds) assert.ok(await staysPending(acquired), `${what}: it does not hold the lock`)
        const begin = performance.now()
        await die(it, death, where.stop, busy)
        if (other) assert.equal(await other.ask('release'), 'released')
        assert.equal(await eventually(acquired, what), 'acquired')
        if (where.holds) times.push(performance.now() - begin)
        assert.equal(await next.ask('release'), 'released')
        const remains = JSON.parse(await it.ask('remains'))
        assert.deepEqual(remains, { held: [], pending: [], descriptors: [], kernel: [] }, what)
        assert.equal(await isFree(it.file), true, what)
        for (const each of [next, other]) if (each) await each.kill()
      }
    }
  })
}
