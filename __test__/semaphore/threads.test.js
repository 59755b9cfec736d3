'use strict'

// Worker threads: their permits count together, and end with them.

const assert = require('node:assert/strict')
const { on } = require('node:events')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { query, semaphore } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { freePermits, permitHolder, permitWaiter } = require('../support/permits.js')
const { eventually, staysPending, until } = require('../support/waiting.js')

class Thread {
  #answers
  #worker

  constructor(t, file, permits) {
    this.#worker = new Worker(require.resolve('./thread.js'), { workerData: { file, permits } })
    this.#answers = on(this.#worker, 'message')
    this.#worker.on('error', () => {})
    this.exited = new Promise((resolve) => this.#worker.on('exit', resolve))
    t.after(() => this.terminate())
  }

  say(command) {
    this.#worker.postMessage(command)
  }

  async ask(command) {
    this.say(command)
    const { value } = await eventually(this.#answers.next(), 'an answer of a thread')
    return value[0]
  }

  terminate() {
    this.#worker.terminate()
    return eventually(this.exited, 'the end of a thread')
  }
}

/** Resolves when so many requests of this process wait. */
const pending = (file, count) =>
  until(() => query().pending.filter(({ path }) => path === file).length === count, `${count} requests that wait`)

test('threads of a process share the permits, in the order of their requests', async (t) => {
  const file = temporaryPath(t)
  const threads = Array.from({ length: 3 }, () => new Thread(t, file, 2))
  assert.equal(await threads[0].ask('acquire'), 'acquired')
  const mine = await semaphore(file, 2).acquire()
  const second = threads[1].ask('acquire')
  await pending(file, 1)
  const wait = semaphore(file, 2).acquire()
  await pending(file, 2)
  const third = threads[2].ask('acquire')
  await pending(file, 3)
  mine.release()
  assert.equal(await second, 'acquired')
  assert.ok(await staysPending(Promise.race([wait, third])))
  assert.equal(await threads[0].ask('release'), 'released')
  const permit = await eventually(wait, 'the permit')
  assert.ok(await staysPending(third))
  permit.release()
  assert.equal(await third, 'acquired')
})

/** How a worker ends. `waits`: it can do so while it waits. */
const ENDINGS = {
  'ends by itself': { end: (thread) => thread.say('end') },
  'calls process.exit()': { end: (thread) => thread.say('exit'), waits: true },
  fails: { end: (thread) => thread.say('fail'), waits: true },
  'is terminated': { end: (thread) => thread.terminate(), waits: true },
}

for (const [how, { end, waits }] of Object.entries(ENDINGS)) {
  test(`a worker that ${how} releases the permits that it holds`, async (t) => {
    const file = temporaryPath(t)
    const thread = new Thread(t, file, 2)
    for (let i = 0; i < 2; i++) assert.equal(await thread.ask('acquire'), 'acquired')
    const mine = semaphore(file, 2).acquire()
    assert.ok(await staysPending(mine))
    const { waiter, acquired } = await permitWaiter(t, file, 2)
    end(thread)
    await eventually(thread.exited, 'the end of the thread')
    const permit = await eventually(mine, 'a permit of the worker')
    assert.equal(await acquired, 'acquired')
    permit.release()
    await waiter.kill()
    assert.equal(await freePermits(t, file, 2), 2)
  })

  if (!waits) continue

  test(`a worker that ${how} while it waits, first in line or not, holds nobody up`, async (t) => {
    const file = temporaryPath(t)
    const holder = await permitHolder(t, file, 1)
    const threads = [new Thread(t, file, 1), new Thread(t, file, 1)]
    for (const [i, thread] of threads.entries()) {
      thread.say('acquire')
      await pending(file, i + 1)
    }
    const mine = semaphore(file, 1).acquire()
    await pending(file, 3)
    for (const thread of threads) {
      end(thread)
      await eventually(thread.exited, 'the end of the thread')
    }
    assert.ok(await staysPending(mine))
    await pending(file, 1)
    assert.equal(await holder.ask('release'), 'released')
    ;(await eventually(mine, 'the permit')).release()
    assert.equal(await freePermits(t, file, 1), 1)
  })
}

test('terminate() with 1000 waits pending neither hangs nor leaves anything', async (t) => {
  const file = temporaryPath(t)
  const permit = await semaphore(file, 1).acquire()
  for (let round = 0; round < 5; round++) {
    const thread = new Thread(t, file, 1)
    for (let i = 0; i < 1000; i++) thread.say('acquire')
    await pending(file, 1000)
    await thread.terminate()
    await pending(file, 0)
  }
  permit.release()
  assert.equal(await freePermits(t, file, 1), 1)
})

test('terminate() at any instant of turns leaves no permit held', async (t) => {
  const file = temporaryPath(t)
  for (let round = 0; round < 20; round++) {
    const threads = [new Thread(t, file, 2), new Thread(t, file, 2)]
    await Promise.all(threads.map((thread) => thread.ask('acquire')))
    for (const thread of threads)
      for (let i = 0; i < 50; i++) for (const command of ['release', 'acquire']) thread.say(command)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
    await Promise.all(threads.map((thread) => thread.terminate()))
    assert.equal(await freePermits(t, file, 2), 2)
  }
})
