'use strict'

// examples/second-instance.js

const assert = require('node:assert/strict')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { text } = require('node:stream/consumers')
const { test } = require('node:test')

const { lockFile } = require('../../..')
const { temporaryFolder } = require('../../support/folders.js')
const { GOOD_END } = require('../../support/processes.js')
const { onUnix } = require('../../support/systems.js')
const { eventually, staysPending } = require('../../support/waiting.js')
const { start } = require('./example.js')

const run = (t, folder, args, options) => start(t, 'second-instance.js', folder, args, options)

const socketIn = (folder) => path.join(folder, 'second-instance.lock.sock')

async function assertFirst(example) {
  assert.equal(await example.line(), `First instance: process ${example.pid}`)
}

async function startFirst(t, folder) {
  const first = run(t, folder)
  await assertFirst(first)
  return first
}

const heard = (args, cwd) => `Second instance: ${JSON.stringify(args)} in ${cwd}`

/** An instance that is bound to become the first one, and the promise that it has. */
function heir(t, folder, args) {
  const instance = run(t, folder, args)
  const becomesFirst = assertFirst(instance)
  becomesFirst.catch(() => {})
  return { instance, becomesFirst }
}

/** Starts an instance with these arguments, which has to hand them over to `first`. */
async function assertHandsOver(t, folder, first, args) {
  const second = run(t, folder, args, { cwd: folder })
  assert.deepEqual(await second.rest(), ['Handed over to the first instance'])
  assert.deepEqual(await second.ended(), GOOD_END)
  assert.equal(await first.line(), heard(args, folder))
}

test('a second instance hands its arguments and folder over to the first one, and ends', async (t) => {
  const folder = temporaryFolder(t)
  const first = await startFirst(t, folder)
  await assertHandsOver(t, folder, first, ['--open', 'a file.txt', 'ü'])
  await assertHandsOver(t, folder, first, [])
})

test('of many instances that start at once one is the first, and hears of all others', async (t) => {
  const folder = temporaryFolder(t)
  const instances = Array.from({ length: 6 }, (_, i) => run(t, folder, [`${i}`], { cwd: folder }))
  const lines = await Promise.all(instances.map((instance) => instance.line()))
  const first = instances.find(({ pid }, i) => lines[i] === `First instance: process ${pid}`)
  assert.deepEqual(lines.filter((line) => line === 'Handed over to the first instance').length, 5)

  const told = []
  for (let i = 0; i < 5; i++) told.push(await first.line())
  const others = instances.map((_, i) => i).filter((i) => instances[i] !== first)
  assert.deepEqual(
    told.sort(),
    others.map((i) => heard([`${i}`], folder)),
  )
})

test('when the first instance has ended the next one is the first', async (t) => {
  const folder = temporaryFolder(t)
  const first = await startFirst(t, folder)
  first.end()
  assert.deepEqual(await first.ended(), GOOD_END)
  assert.deepEqual(fs.readdirSync(folder), ['second-instance.lock'])
  await assertHandsOver(t, folder, await startFirst(t, folder), ['again'])
})

test('the socket of a first instance that was killed is in nobody’s way', async (t) => {
  const folder = temporaryFolder(t)
  const killed = await startFirst(t, folder)
  await killed.kill('SIGKILL')
  if (process.platform !== 'win32') assert.ok(fs.existsSync(socketIn(folder)))
  await assertHandsOver(t, folder, await startFirst(t, folder), ['again'])
})

test('a second instance takes over when the first one dies before it has answered', onUnix, async (t) => {
  const folder = temporaryFolder(t)
  const first = await startFirst(t, folder)
  process.kill(first.pid, 'SIGSTOP')
  const { instance, becomesFirst } = heir(t, folder, ['taken over'])
  assert.ok(await staysPending(becomesFirst, 300))
  await first.kill('SIGKILL')
  await becomesFirst
  await assertHandsOver(t, folder, instance, ['to the new one'])
})

test('a second instance waits for a first one that does not listen yet, and takes over when it dies', async (t) => {
  const folder = temporaryFolder(t)
  const lock = await lockFile(path.join(folder, 'second-instance.lock')).acquire()
  const { becomesFirst } = heir(t, folder)
  assert.ok(await staysPending(becomesFirst, 300))
  lock.release()
  await becomesFirst
})

test('a second instance that gets no answer is not done, and takes over when the first one dies', onUnix, async (t) => {
  const folder = temporaryFolder(t)
  const lock = await lockFile(path.join(folder, 'second-instance.lock')).acquire()
  // It reads the message, and ends the connection.
  const server = net.createServer((socket) => socket.resume())
  t.after(() => server.close())
  await once(server.listen(socketIn(folder)), 'listening')
  const { becomesFirst } = heir(t, folder)
  await eventually(once(server, 'connection'), 'a message')
  assert.ok(await staysPending(becomesFirst, 100))
  lock.release()
  await becomesFirst
})

test('an instance that is killed in the middle of its message does not disturb the first one', onUnix, async (t) => {
  const folder = temporaryFolder(t)
  const first = await startFirst(t, folder)
  const half = net.connect(socketIn(folder))
  t.after(() => half.destroy())
  half.end('{"argv": [')
  assert.equal(await eventually(text(half), 'the end of the connection'), '')

  // And one that is gone when the answer comes: the first one is stopped until then.
  process.kill(first.pid, 'SIGSTOP')
  const gone = net.connect(socketIn(folder))
  t.after(() => gone.destroy())
  gone.end(JSON.stringify({ argv: ['gone'], cwd: folder }), () => gone.destroy())
  await eventually(once(gone, 'close'), 'the end of the connection')
  process.kill(first.pid, 'SIGCONT')
  assert.equal(await first.line(), heard(['gone'], folder))
  await assertHandsOver(t, folder, first, ['still there'])
})
