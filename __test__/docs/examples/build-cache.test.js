'use strict'

// examples/build-cache.js

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../../..')
const { temporaryFolder } = require('../../support/folders.js')
const { GOOD_END } = require('../../support/processes.js')
const { staysPending } = require('../../support/waiting.js')
const { start } = require('./example.js')

const PROCESSES = 4
/** Longer than any test waits, in seconds. */
const FOR_EVER = '100000'

/** A folder of the test's own for an example, and in it the cache. */
function makeCache(t) {
  const folder = temporaryFolder(t)
  const cache = path.join(folder, 'build-cache')
  fs.mkdirSync(cache)
  const entries = () => fs.readdirSync(path.join(cache, 'entries'))
  return { folder, lock: lockFile(path.join(cache, 'lock')), entries }
}

const run = (t, folder, args) => start(t, 'build-cache.js', folder, args)

const user = (t, folder, takes = '0') => run(t, folder, ['some-key', '--takes', takes])

/** What a user says until it uses the entry, once each, and the text of the entry. */
async function untilUse(example) {
  const said = new Set()
  for (;;) {
    const line = await example.line()
    const [, text] = /^Using \(Enter to end\): (.*)$/.exec(line) ?? []
    if (text !== undefined) return { said: [...said], text }
    said.add(line)
  }
}

/** The text of an entry that this process has built. */
const builtBy = ({ pid }) => `built by ${pid}, to the end`

async function endUse(example) {
  assert.equal(await example.ask(''), 'Done')
  assert.deepEqual(await example.ended(), GOOD_END)
}

/** Starts a user that builds without end, after a killed one if there was any. */
async function startBuilder(t, folder) {
  const builder = user(t, folder, FOR_EVER)
  assert.equal(await builder.line(), 'Missing: some-key')
  assert.equal(await builder.line(), 'Building: some-key.unfinished')
  return builder
}

test('of many processes that miss an entry at once one builds it, and all use it together', async (t) => {
  const { folder, lock } = makeCache(t)
  // With this, all may look, and nobody may build.
  await lock.acquire({ mode: 'shared' })
  const users = Array.from({ length: PROCESSES }, () => user(t, folder, '0.1'))
  for (const each of users) assert.equal(await each.line(), 'Missing: some-key')
  lock.release()

  // Nobody ends its use before all have begun theirs.
  const uses = await Promise.all(users.map(untilUse))
  const builders = users.filter((_, i) => uses[i].said.includes('Building: some-key.unfinished'))
  assert.equal(builders.length, 1)
  assert.deepEqual(
    uses.map(({ text }) => text),
    Array(PROCESSES).fill(builtBy(builders[0])),
  )
  for (const each of users) await endUse(each)
})

test('an entry that is there is used while others use it, and not built again', async (t) => {
  const { folder } = makeCache(t)
  const first = user(t, folder)
  await untilUse(first)
  const second = user(t, folder)
  assert.deepEqual(await untilUse(second), { said: [], text: builtBy(first) })
  for (const each of [first, second]) await endUse(each)
})

test('a process that wanted to build uses what somebody else has built, while others use it', async (t) => {
  const { folder, lock } = makeCache(t)
  await lock.acquire({ mode: 'shared' })
  const late = user(t, folder)
  assert.equal(await late.line(), 'Missing: some-key')
  const entry = path.join(folder, 'build-cache/entries/some-key')
  fs.mkdirSync(path.dirname(entry))
  fs.writeFileSync(`${entry}.new`, 'built by the test')
  fs.renameSync(`${entry}.new`, entry)
  assert.equal((await untilUse(late)).text, 'built by the test')
  assert.ok(lock.held)
  lock.release()
})

test('when a process is killed while it builds, the next one builds the entry from scratch', async (t) => {
  const { folder, entries } = makeCache(t)
  const killed = await startBuilder(t, folder)
  const next = user(t, folder)
  assert.ok(await staysPending(next.exited, 300))
  assert.deepEqual(entries(), ['some-key.unfinished'])
  await killed.kill('SIGKILL')

  const { said, text } = await untilUse(next)
  assert.deepEqual(said, ['Missing: some-key', 'Building: some-key.unfinished'])
  assert.equal(text, builtBy(next))
  assert.deepEqual(entries(), ['some-key'])
  await endUse(next)
})

test('entries are deleted when the last process that uses one has ended or been killed', async (t) => {
  const { folder, entries } = makeCache(t)
  const users = [user(t, folder), user(t, folder)]
  await Promise.all(users.map(untilUse))

  const cleaner = run(t, folder, ['--clean'])
  assert.equal(await cleaner.line(), 'Waiting until nobody uses an entry')
  const cleaned = cleaner.line()
  cleaned.catch(() => {})
  await endUse(users[0])
  assert.ok(await staysPending(cleaned, 300))
  assert.deepEqual(entries(), ['some-key'])
  await users[1].kill('SIGKILL')
  assert.equal(await cleaned, 'Cleaned')
  assert.deepEqual(await cleaner.ended(), GOOD_END)

  const { said } = await untilUse(user(t, folder))
  assert.deepEqual(said, ['Missing: some-key', 'Building: some-key.unfinished'])
})
