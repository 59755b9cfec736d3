'use strict'

// examples/move-files.js

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { lockFile } = require('../../..')
const { temporaryFolder } = require('../../support/folders.js')
const { GOOD_END } = require('../../support/processes.js')
const { staysPending } = require('../../support/waiting.js')
const { start } = require('./example.js')

const run = (t, folder, ...args) => start(t, 'move-files.js', folder, args)

const filesIn = (folder, name) => fs.readdirSync(path.join(folder, 'move-files', name))

test('all files are moved, and back again', async (t) => {
  const folder = temporaryFolder(t)
  for (const [from, to] of [
    ['left', 'right'],
    ['right', 'left'],
  ]) {
    const example = run(t, folder, from, to)
    assert.equal(await example.line(), `Moved 3 files from ${from} to ${to}`)
    assert.deepEqual(await example.ended(), GOOD_END)
    assert.deepEqual(filesIn(folder, from), [])
    assert.deepEqual(filesIn(folder, to), ['a', 'b', 'c'])
  }
})

test('many that move in both directions at once all end, and the files stay together', async (t) => {
  const folder = temporaryFolder(t)
  assert.deepEqual(await run(t, folder, 'left', 'right').ended(), GOOD_END)
  const examples = Array.from({ length: 8 }, (_, i) =>
    run(t, folder, ...(i % 2 ? ['left', 'right'] : ['right', 'left'])),
  )
  for (const example of examples) {
    assert.match(await example.line(), /^Moved [03] files /)
    assert.deepEqual(await example.ended(), GOOD_END)
  }
  assert.deepEqual([...filesIn(folder, 'left'), ...filesIn(folder, 'right')], ['a', 'b', 'c'])
})

test('nothing is moved while somebody holds the lock of either folder', async (t) => {
  const folder = temporaryFolder(t)
  await run(t, folder, 'left', 'right').ended()
  for (const name of ['left', 'right']) {
    const holder = await lockFile(path.join(folder, 'move-files', `${name}.lock`)).acquire()
    const example = run(t, folder, 'right', 'left')
    const line = example.line()
    assert.ok(await staysPending(line, 200))
    assert.deepEqual(filesIn(folder, 'right'), ['a', 'b', 'c'])
    holder.release()
    assert.equal(await line, 'Moved 3 files from right to left')
    assert.deepEqual(await run(t, folder, 'left', 'right').ended(), GOOD_END)
  }
})

test('without two folders it says how it is used', async (t) => {
  const { code, stderr } = await run(t, temporaryFolder(t), 'left').ended()
  assert.equal(code, 1)
  assert.match(stderr, /^usage: /)
})
