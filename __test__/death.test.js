'use strict'

// A process dies at each step of the life of its lock, in each way that there is to die: whoever comes next gets in, and
// nothing of the dead is left with them. LOCKET_DEATHS: how often each is tried.

const assert = require('node:assert/strict')
const { after, test } = require('node:test')

const { spread, STEPS } = require('./fixtures/system-calls/steps.js')
const { subject } = require('./fixtures/system-calls/subject.js')
const { agent, eventually, isAlive, isFree, staysPending, until } = require('./support.js')

const ROUNDS = Number(process.env.LOCKET_DEATHS ?? 1)

const FOR_EVER = 'for ever'
const kill = (signal) => async (_, pid) => process.kill(pid, signal)
const command = (name) => async (it) => it.say(name)

/** The ways to die. `own`: by its own code, which has to run for it. */
const DEATHS = {
  SIGKILL: { die: kill('SIGKILL') },
  // Node has a handler for it, to leave the terminal as it was.
  SIGTERM: { die: kill('SIGTERM'), own: true },
  'process.exit()': { die: command('exit'), own: true },
  'process.abort()': { die: command('abort'), own: true },
  'an uncaught error': { die: command('throw'), own: true },
  // It is told to die with it, as a shell's job or a container's process does.
  'the death of its parent': { die: async (it) => process.kill(it.pid, 'SIGKILL') },
}

/** Brings a process to a step. */
async function bring(it, { stop, waits, releases }, t) {
  const other = waits ? agent(t, it.file) : undefined
  if (other) assert.equal(await other.ask('try'), 'true')
  const rule = stop && { ...stop, delay: FOR_EVER }
  if (rule && !releases) it.follow(rule)
  assert.equal(await it.ask('acquire'), 'waiting')
  if (!stop && !waits) assert.equal(await it.line(), 'acquired')
  if (releases) {
    assert.equal(await it.line(), 'acquired')
    it.follow(rule)
    it.say('release')
  }
  if (stop) await it.stopped()
  return other
}

/** How long the next one had to wait after each death, in ms. */
const waits = []

after(() => {
  if (waits.length === 0) return
  const { median, most } = spread(waits)
  console.log(
    `${waits.length} deaths of holders: next one in after ${median.toFixed(1)} ms, at most ${most.toFixed(1)} ms`,
  )
})

for (const [step, where] of Object.entries(STEPS)) {
  const only = { skip: process.platform !== 'linux' && 'seccomp is Linux’s' }
  test(`death ${step}`, only, async (t) => {
    for (const [how, { die, own }] of Object.entries(DEATHS)) {
      if (own && where.busy) continue
      for (let round = 0; round < ROUNDS; round++) {
        const it = await subject(t)
        if (!it) return
        const pid = Number(await it.ask('pid'))
        const other = await bring(it, where, t)

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
          waits.push(performance.now() - begin)
        } else {
          await eventually(it.exited, `the end by ${how}`)
          if (other) assert.equal(await other.ask('release'), 'released')
          assert.equal(await next.ask('acquire'), 'waiting')
          assert.equal(await next.line(), 'acquired')
        }
        assert.equal(await next.ask('release'), 'released')
        await eventually(it.exited, `the end by ${how}`)
        await until(() => !isAlive(pid), 'the end of the process itself')
        assert.equal(await isFree(it.file), true, how)
        assert.equal(await next.ask('descriptors'), '0')
        for (const each of [next, other]) if (each) await each.kill()
      }
    }
  })
}
