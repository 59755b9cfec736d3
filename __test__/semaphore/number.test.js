'use strict'

// The number of permits, which stands in the file: it binds while anybody uses the semaphore.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { test } = require('node:test')

const { LockError, semaphore } = require('../..')
const { temporaryPath } = require('../support/folders.js')
const { freePermits, permitHolder, permitWaiter, takeAll } = require('../support/permits.js')
const { agent } = require('../support/processes.js')
const { errorOf, eventually } = require('../support/waiting.js')

const REFUSED = { name: 'LockError', code: 'ERR_LOCK_PERMITS' }

const contentOf = (file) => fs.readFileSync(file, 'latin1')

test('the file has the number of permits, for people too', async (t) => {
  const file = temporaryPath(t)
  for (const permits of [4, 1, 1024, 2]) {
    await semaphore(file, permits).run(() => {})
    assert.equal(contentOf(file), `${permits} permits\n`)
  }
})

test('another number is refused at once while a permit is held, by whatever method, and changes nothing', async (t) => {
  const file = temporaryPath(t)
  const permit = await semaphore(file, 4).acquire()
  for (const permits of [3, 5, 1, 1024]) {
    const it = semaphore(file, permits)
    const message = `${file} has 4 permits, not ${permits}, and is in use`
    for (const call of [
      () => it.acquire(),
      () => it.acquire(100_000),
      () => it.acquire(0),
      () => it.tryAcquire(),
      () => it.run(() => assert.fail('called')),
    ]) {
      const error = await errorOf(call)
      assert.ok(error instanceof LockError)
      const { name, code, path } = error
      assert.deepEqual({ name, code, path, message: error.message }, { ...REFUSED, path: file, message })
    }
  }
  assert.equal(contentOf(file), '4 permits\n')
  assert.equal(permit.held, true)
  assert.equal(await freePermits(t, file, 4), 3)
})

test('another number is refused to every process while one of them holds the last permit', async (t) => {
  const file = temporaryPath(t)
  const holder = await permitHolder(t, file, 1)
  await assert.rejects(semaphore(file, 2).acquire(), {
    ...REFUSED,
    message: `${file} has 1 permit, not 2, and is in use`,
  })
  assert.equal(await agent(t, file, { permits: 2 }).ask('try'), 'ERR_LOCK_PERMITS')
  assert.equal(await holder.ask('release'), 'released')
  await semaphore(file, 2).run(() => {})
})

test('another number is refused also while others wait, and not only when they have had their permits', async (t) => {
  const file = temporaryPath(t)
  await permitHolder(t, file, 2, 2)
  // The first of them holds the gate, and the second one waits for it.
  await permitWaiter(t, file, 2)
  await permitWaiter(t, file, 2)
  await assert.rejects(eventually(semaphore(file, 3).acquire(), 'the error'), REFUSED)
  assert.equal(await eventually(agent(t, file, { permits: 3 }).ask('try'), 'the error'), 'ERR_LOCK_PERMITS')
})

test('another number is refused while requests of this process wait', async (t) => {
  const file = temporaryPath(t)
  await takeAll(t, file, 2)
  const controller = new AbortController()
  const waits = [1, 2, 3].map(() => errorOf(() => semaphore(file, 2).acquire({ signal: controller.signal })))
  await assert.rejects(eventually(semaphore(file, 3).acquire(), 'the error'), REFUSED)
  controller.abort()
  for (const { code } of await Promise.all(waits)) assert.equal(code, 'ABORT_ERR')
})

test('when nobody uses it, another number takes its place', async (t) => {
  const file = temporaryPath(t)
  for (const permits of [3, 1, 5, 2]) {
    assert.equal(await freePermits(t, file, permits), permits)
    assert.equal(contentOf(file), `${permits} permits\n`)
  }
  const holder = await permitHolder(t, file, 2)
  await holder.kill()
  assert.equal(await freePermits(t, file, 7), 7)
})

test('of several that bring a number each, one has its own, and the others are refused or come after it', async (t) => {
  const file = temporaryPath(t)
  for (let round = 0; round < 50; round++) {
    let inside = 0
    const outcomes = await Promise.all(
      [1, 2, 3, 4].map(async (permits) => {
        try {
          const permit = await semaphore(file, permits).acquire()
          inside++
          assert.equal(contentOf(file), `${permits} permits\n`)
          await new Promise(setImmediate)
          assert.equal(contentOf(file), `${permits} permits\n`)
          inside--
          permit.release()
          return 'in'
        } catch (error) {
          return error.code ?? error
        }
      }),
    )
    assert.equal(inside, 0)
    assert.ok(outcomes.includes('in'), `${outcomes}`)
    for (const outcome of outcomes) assert.ok(['in', 'ERR_LOCK_PERMITS'].includes(outcome), outcome)
  }
})

/** What people have in files, and might name by mistake. */
const OTHERS = {
  text: 'hello\n',
  'something like it': '4 permits',
  'something that begins like it': '4 permits\nand more\n',
  'the number alone': '4\n',
  'a number of permits that is none': '0 permits\n',
  'more permits than there can be': '1025 permits\n',
  'a number that is written otherwise': '04 permits\n',
  NULs: '\0'.repeat(10),
  bytes: '\xff\xfe',
  'much data': 'data '.repeat(100_000),
}

for (const [what, content] of Object.entries(OTHERS)) {
  test(`a file with ${what} is not a semaphore's: it is refused, and left as it is`, async (t) => {
    const file = temporaryPath(t)
    fs.writeFileSync(file, content, 'latin1')
    const { mtimeMs, ino } = fs.statSync(file)
    const it = semaphore(file, 4)
    const message = `${file} is not the file of a semaphore: it has other content, which is left alone`
    for (const call of [() => it.acquire(), () => it.tryAcquire(), () => it.run(() => assert.fail('called'))]) {
      const error = await errorOf(call)
      assert.deepEqual([error.code, error.path, error.message], ['ERR_LOCK_PERMITS', file, message])
    }
    const after = fs.statSync(file)
    assert.deepEqual([contentOf(file), after.mtimeMs, after.ino], [content, mtimeMs, ino])
    assert.equal(fs.existsSync(`${file}.1`), false)
  })
}

test('a slot that has content is not changed', async (t) => {
  const file = temporaryPath(t)
  fs.writeFileSync(`${file}.1`, 'data')
  await semaphore(file, 2).run(() => {})
  assert.equal(contentOf(`${file}.1`), 'data')
})
