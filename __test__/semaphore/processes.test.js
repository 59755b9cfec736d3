'use strict'

// A semaphore over processes: exclusion, turns, and those who die, block or wait.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const { semaphore } = require('../..')
const { ROOT, temporaryPath } = require('../support/folders.js')
const { waitsInKernel } = require('../support/kernel.js')
const { freePermits, permitHolder, permitWaiter, takeAll } = require('../support/permits.js')
const { agent, GOOD_END, isAlive, run, script } = require('../support/processes.js')
const { timesAfter } = require('../support/system-calls/steps.js')
const { isPaced, onLinux } = require('../support/systems.js')
const { eventually, staysPending, until } = require('../support/waiting.js')

const inKernel = { skip: onLinux.skip || (isPaced && 'here nobody waits in the kernel') }

/** The most of these holds that there were at once. */
function mostAtOnce(holds) {
  const changes = holds.flatMap(([start, end]) => [
    { time: BigInt(start), change: 1 },
    { time: BigInt(end), change: -1 },
  ])
  // At the same time, the ends come first.
  changes.sort((a, b) => (a.time === b.time ? a.change - b.change : a.time < b.time ? -1 : 1))
  let count = 0
  let most = 0
  for (const { change } of changes) {
    count += change
    most = Math.max(most, count)
  }
  return most
}

for (const permits of [1, 3]) {
  test(`in a storm of processes and worker threads, ${permits} hold permits at once, and never more`, async (t) => {
    const [PROCESSES, WORKERS, LOOPS, TURNS] = [4, 1, 3, 40]
    const file = temporaryPath(t)
    const args = [file, permits, WORKERS, LOOPS, TURNS].map(String)
    const storm = Array.from({ length: PROCESSES }, () => run(t, require.resolve('./storm.js'), args))
    const lines = (await Promise.all(storm.map((each) => each.rest()))).flat()
    for (const each of storm) assert.deepEqual(await each.ended(), GOOD_END)
    assert.equal(lines.length, PROCESSES * (1 + WORKERS))
    const holds = lines.flatMap((line) => JSON.parse(line))
    // Some tries and waits are in vain.
    assert.ok(holds.length > (PROCESSES * (1 + WORKERS) * LOOPS * TURNS) / 2, `${holds.length} holds`)
    assert.equal(mostAtOnce(holds), permits)
    assert.equal(await freePermits(t, file, permits), permits)
  })
}

test('permits of several processes count together', async (t) => {
  const file = temporaryPath(t)
  const holders = [await permitHolder(t, file, 3), await permitHolder(t, file, 3)]
  const mine = await semaphore(file, 3).acquire()
  assert.equal(await semaphore(file, 3).tryAcquire(), undefined)
  const { waiter, acquired } = await permitWaiter(t, file, 3)
  assert.equal(await holders[1].ask('release'), 'released')
  assert.equal(await acquired, 'acquired')
  mine.release()
  assert.equal(await freePermits(t, file, 3), 1)
  assert.equal(await waiter.ask('release'), 'released')
  assert.equal(await freePermits(t, file, 3), 2)
})

test('a process with waiters without end lets another process have its turn', inKernel, async (t) => {
  const file = temporaryPath(t)
  // So many that its queue cannot run dry while a thread is held up.
  const source = `
    const { semaphore } = require(${JSON.stringify(ROOT)})
    let turns = 0
    const hold = () => {
      if (++turns === 100) console.log('busy')
      return new Promise(setImmediate)
    }
    const loop = async () => { for (;;) await semaphore(process.argv[1], 2).run(hold) }
    for (let i = 0; i < 500; i++) loop()`
  assert.equal(await script(t, source, [file]).line(), 'busy')
  for (let i = 0; i < 20; i++) (await eventually(semaphore(file, 2).acquire(), 'our turn')).release()
})

test('processes that wait get their turns in the order in which they came', inKernel, async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 2, 2)
  const order = []
  const waiters = []
  for (let number = 0; number < 5; number++) {
    const { waiter, acquired } = await permitWaiter(t, file, 2)
    await waitsInKernel(waiter)
    waiters.push(acquired.then(() => order.push(number)).then(() => waiter.ask('release')))
  }
  assert.equal(await holder.ask('release'), 'released')
  for (const waiter of waiters) assert.equal(await waiter, 'released')
  assert.deepEqual(order, [0, 1, 2, 3, 4])
})

const times = timesAfter('deaths of holders of permits')

test('the permit of a holder that is killed is free at once, for one who waits', async (t) => {
  const file = temporaryPath(t)
  for (let round = 0; round < 5; round++) {
    const holders = [await permitHolder(t, file, 2), await permitHolder(t, file, 2)]
    const { waiter, acquired } = await permitWaiter(t, file, 2)
    const behind = await permitWaiter(t, file, 2)
    // Of either slot.
    const [killed, other] = round % 2 === 0 ? holders : holders.reverse()
    const begin = performance.now()
    killed.kill()
    assert.equal(await acquired, 'acquired')
    times.push(performance.now() - begin)
    assert.ok(await staysPending(behind.acquired))
    for (const each of [other, waiter, behind.waiter]) await each.kill()
  }
  assert.equal(await freePermits(t, file, 2), 2)
})

test('all permits of a process that is killed are free', async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 5, 5)
  const waits = Array.from({ length: 5 }, () => semaphore(file, 5).acquire())
  assert.ok(await staysPending(Promise.race(waits)))
  await holder.kill()
  for (const permit of await eventually(Promise.all(waits), 'the permits')) permit.release()
})

test('a waiter that is killed holds nobody up, neither the first nor one behind it', inKernel, async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 2, 2)
  const waiters = []
  for (let i = 0; i < 4; i++) {
    waiters.push(await permitWaiter(t, file, 2))
    await waitsInKernel(waiters.at(-1).waiter)
  }
  // The first one holds the gate.
  await waiters[0].waiter.kill()
  await waiters[2].waiter.kill()
  assert.ok(await staysPending(Promise.race([waiters[1].acquired, waiters[3].acquired])))
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await waiters[1].acquired, 'acquired')
  assert.ok(await staysPending(waiters[3].acquired))
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await waiters[3].acquired, 'acquired')
})

test('a permit that is free when the first who waits is killed goes to the next', inKernel, async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 1)
  const first = await permitWaiter(t, file, 1)
  await waitsInKernel(first.waiter)
  const next = await permitWaiter(t, file, 1)
  // Neither can do anything until both have happened.
  for (const { pid } of [first.waiter, next.waiter]) process.kill(pid, 'SIGSTOP')
  assert.equal(await holder.ask('release'), 'released')
  first.waiter.kill()
  process.kill(next.waiter.pid, 'SIGCONT')
  assert.equal(await next.acquired, 'acquired')
})

test('a process that waits and blocks its event loop holds nobody up', async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 2, 2)
  const { waiter } = await permitWaiter(t, file, 2)
  // Longer than the test: it is killed at its end.
  waiter.say('block {"ms":1000000}')
  const behind = await permitWaiter(t, file, 2)
  assert.equal(await holder.ask('release'), 'released')
  // This one is the blocked process's, although it does not know of it.
  assert.ok(await staysPending(behind.acquired, 100))
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await behind.acquired, 'acquired')
  assert.equal(await behind.waiter.ask('release'), 'released')
  for (let i = 0; i < 20; i++) {
    assert.equal(await behind.waiter.ask('acquire'), 'waiting')
    assert.equal(await behind.waiter.line(), 'acquired')
    assert.equal(await behind.waiter.ask('release'), 'released')
  }
})

test('the waits of a process whose event loop is blocked time out all the same, and hold nobody up', async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 1)
  const waiter = agent(t, file, { permits: 1 })
  for (let i = 0; i < 3; i++) assert.equal(await waiter.ask('acquire {"timeout":50}'), 'waiting')
  waiter.say('block {"ms":1000000}')
  const behind = await permitWaiter(t, file, 1)
  assert.ok(await staysPending(behind.acquired, 200))
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await behind.acquired, 'acquired')
})

test(
  'a process that is stopped while it waits holds up only those behind it, and is passed when it is killed',
  inKernel,
  async (t) => {
    const file = temporaryPath(t)
    const holder = await permitHolder(t, file, 1)
    const { waiter } = await permitWaiter(t, file, 1)
    await waitsInKernel(waiter)
    process.kill(waiter.pid, 'SIGSTOP')
    const behind = await permitWaiter(t, file, 1)
    assert.equal(await holder.ask('release'), 'released')
    await waiter.kill()
    assert.equal(await behind.acquired, 'acquired')
  },
)

/** The context switches of the threads of this package in a process: how often one of them has gone to sleep. */
function switchesOf({ pid }) {
  const threads = fs
    .readdirSync(`/proc/${pid}/task`)
    .map((thread) => fs.readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'))
  const ours = threads.filter((status) => /^Name:\s+locket/m.test(status))
  assert.ok(ours.length > 0)
  const numbers = ours.flatMap((status) =>
    [...status.matchAll(/_ctxt_switches:\s+(\d+)/g)].map(([, number]) => Number(number)),
  )
  return numbers.reduce((sum, number) => sum + number, 0)
}

test('those who wait do nothing while they wait: no thread of the package wakes up', inKernel, async (t) => {
  const file = temporaryPath(t)
  await permitHolder(t, file, 4, 4)
  const waiters = []
  for (let i = 0; i < 2; i++) {
    const { waiter } = await permitWaiter(t, file, 4)
    // One wait that is the first of its process, and one behind it.
    waiter.say('acquire')
    await waitsInKernel(waiter)
    waiters.push(waiter)
  }
  for (const waiter of waiters) {
    // Once it has come to rest.
    await until(async () => {
      const before = switchesOf(waiter)
      await new Promise((resolve) => setTimeout(resolve, 300))
      return switchesOf(waiter) === before
    }, 'a while without a wake-up')
    const before = switchesOf(waiter)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    assert.equal(switchesOf(waiter), before)
  }
})

for (const [when, begin] of Object.entries({
  'while its parent holds one': async (it) => assert.equal(await it.line(), 'acquired'),
  'while its parent waits for one': async () => {},
})) {
  test(`a child that is started ${when} has no part in the permit`, async (t) => {
    const file = temporaryPath(t)
    const holds = when.endsWith('holds one')
    const taken = holds ? [] : await takeAll(t, file, 1)
    const source = `
      const { spawn } = require('node:child_process')
      const { semaphore } = require(${JSON.stringify(ROOT)})
      const child = () => spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { stdio: 'ignore', detached: true }).pid
      const wait = semaphore(process.argv[1], 1).acquire().then(() => console.log('acquired'))
      if (process.argv[2] === 'false') console.log(child())
      else wait.then(() => console.log(child()))
      process.stdin.resume()`
    const parent = script(t, source, [file, String(holds)])
    await begin(parent)
    const child = Number(await parent.line())
    t.after(() => process.kill(child, 'SIGKILL'))
    for (const permit of taken) permit.release()
    if (!holds) assert.equal(await parent.line(), 'acquired')
    const { acquired } = await permitWaiter(t, file, 1)
    process.kill(parent.pid, 'SIGKILL')
    assert.equal(await acquired, 'acquired')
    assert.ok(isAlive(child))
  })
}

test('a permit does not keep its process alive, and a pending acquire does', async (t) => {
  const file = temporaryPath(t)
  const source = `
    const { semaphore } = require(${JSON.stringify(ROOT)})
    semaphore(process.argv[1], 1).acquire().then(() => console.log('acquired'))`
  const permit = await semaphore(file, 1).acquire()
  const child = script(t, source, [file])
  assert.ok(await staysPending(child.exited, 300))
  permit.release()
  assert.equal(await child.line(), 'acquired')
  assert.deepEqual(await child.ended(), GOOD_END)
})
