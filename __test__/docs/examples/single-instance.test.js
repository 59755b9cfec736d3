'use strict'

// examples/single-instance.js

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { temporaryFolder } = require('../../support/folders.js')
const { GOOD_END } = require('../../support/processes.js')
const { LINUX } = require('../../support/systems.js')
const { pathOf, start } = require('./example.js')

const NAME = 'single-instance.js'

/** Starts an instance that is the first one. */
async function startFirst(t, folder, options) {
  const first = start(t, NAME, folder, [], options)
  assert.equal(await first.line(), `Running as process ${first.pid}`)
  return first
}

/** What an instance says that is not the first one. */
function refusal({ pid }) {
  if (!LINUX) return 'Already running in another process\n'
  return `Already running as process ${pid} (${process.execPath} ${pathOf(NAME)})\n`
}

test('a second instance says who runs already, and ends with exit code 1', async (t) => {
  const folder = temporaryFolder(t)
  const first = await startFirst(t, folder)
  for (let i = 0; i < 2; i++) {
    const second = start(t, NAME, folder)
    assert.deepEqual(await second.rest(), [])
    assert.deepEqual(await second.ended(), { code: 1, signal: null, stderr: refusal(first) })
  }
})

test('when the first instance has ended the next one runs', async (t) => {
  const folder = temporaryFolder(t)
  const first = await startFirst(t, folder)
  first.end()
  assert.deepEqual(await first.ended(), GOOD_END)
  await startFirst(t, folder)
})

test('when the first instance has been killed the next one runs', async (t) => {
  const folder = temporaryFolder(t)
  const first = await startFirst(t, folder)
  await first.kill('SIGKILL')
  await startFirst(t, folder)
})

test('an instance stays the first one although nobody keeps its handle', async (t) => {
  const folder = temporaryFolder(t)
  const first = await startFirst(t, folder, {
    execArgv: ['--expose-gc', '--require', path.join(__dirname, 'collected.js')],
  })
  assert.equal(await first.line(), 'collected')
  const second = start(t, NAME, folder)
  assert.equal((await second.ended()).code, 1)
})
