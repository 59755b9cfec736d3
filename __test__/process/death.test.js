'use strict'

// A process dies at each step of the life of its lock, in each way that there is to die: the next one gets in, and nothing
// of the dead is left with it. LOCKET_DEATHS: how often each is tried.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { isFree } = require('../support/locks.js')
const { agent, isAlive } = require('../support/processes.js')
const { bring, ROUNDS, STEPS, timesAfter } = require('../support/system-calls/steps.js')
const { subject } = require('../support/system-calls/subject.js')
const { onLinux } = require('../support/systems.js')
const { eventually, staysPending, until } = require('../support/waiting.js')

const kill = (signal) => (_, pid) => process.kill(pid, signal)
const command = (name) => (it) => it.say(name)

/** The ways to die. `own`: by its own code, which has to run for it. */
const DEATHS = {
  SIGKILL: { die: kill('SIGKILL') },
  // Node has a handler for it, to leave the terminal as it was.
  SIGTERM: { die: kill('SIGTERM'), own: true },
  'process.exit()': { die: command('exit'), own: true },
  'process.abort()': { die: command('abort'), own: true },
  'an uncaught error': { die: command('throw'), own: true },
  // It is told to die with it, as a shell's job or a container's process does.
  'the death of its parent': { die: (it) => process.kill(it.pid, 'SIGKILL') },
}

const times = timesAfter('deaths of holders')

for (const [step, where] of Object.entries(STEPS)) {
  test(`death ${step}`, onLinux, async (t) => {
    const ways = Object.entries(DEATHS).filter(([, { own }]) => !(own && where.busy))
    for (const [how, { die }] of ways.flatMap((way) => Array(ROUNDS).fill(way))) {
      const it = await subject(t)
      if (!it) return
      const pid = Number(await it.ask('pid'))
      const other = await bring(t, it, 'acquire', where, 'for ever')

      const next = agent(t, it.file)
      assert.equal(await next.ask('held'), 'false')
      let acquired
      if (where.holds) {
        assert.equal(await next.ask('acquire'), 'waiting')
        acquired = next.line()
        assert.ok(await staysPending(acquired), `${how}: it does not hold the lock`)
      }
      const begin = performance.now()
      await die(it, pid)
      if (where.holds) {
        assert.equal(await eventually(acquired, `the lock after ${how}`), 'acquired')
        times.push(performance.now() - begin)
      } else {
        await it.ended()
        if (other) assert.equal(await other.ask('release'), 'released')
        assert.equal(await next.ask('acquire'), 'waiting')
        assert.equal(await next.line(), 'acquired')
      }
      assert.equal(await next.ask('release'), 'released')
      await it.ended()
      await until(() => !isAlive(pid), 'the end of the process itself')
      assert.equal(await isFree(it.file), true, how)
      assert.equal(await next.ask('closed'), 'closed')
      for (const each of [next, other]) if (each) await each.kill()
    }
  })
}
