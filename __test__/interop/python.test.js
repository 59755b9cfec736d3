'use strict'

// Python's locket, whose lock this is, and two more libraries that take the same one; and those that take the other lock
// of the kernel, that of fcntl(2).

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { PYTHON, preparePython } = require('../../scripts/python.js')
const { temporaryPath } = require('../support/folders.js')
const { Talker } = require('../support/processes.js')
const { onFcntl } = require('../support/systems.js')
const { Agent, acquires, getsInAfter, neighbourRefused, ownLock, refused, testNeighbour } = require('./neighbour.js')

const AGENT = path.join(__dirname, 'agent.py')

/** Without the libraries the tests are skipped; with LOCKET_REQUIRE_ALL=1 they fail. */
const obstacle = preparePython()
const options = { skip: process.env.LOCKET_REQUIRE_ALL !== '1' && obstacle }

/** What starts a process that uses `library`. */
const starting = (library) => (t, file) => new Agent(new Talker(t, PYTHON, [AGENT, library, file]))

for (const library of ['locket', 'filelock', 'portalocker']) {
  testNeighbour(`Python's ${library}`, { options, start: starting(library) })
}

const FCNTL = { protocol: 'fcntl' }
const fcntlOptions = { skip: options.skip || onFcntl.skip }

for (const library of ['fasteners', 'oslo', 'lockf']) {
  testNeighbour(`Python's ${library}`, { options: fcntlOptions, start: starting(library), own: FCNTL })
}

test("a shared lock of ours and one of Python's lockf are held together", fcntlOptions, async (t) => {
  const file = temporaryPath(t)
  const shared = ownLock(t, file, { ...FCNTL, mode: 'shared' })
  const exclusive = ownLock(t, file, FCNTL)
  const neighbour = starting('shared lockf')(t, file)
  const other = starting('lockf')(t, file)
  await acquires(neighbour)
  await refused(exclusive)
  assert.equal(await shared.tryAcquire(), true)
  await neighbour.release()
  await neighbourRefused(other)
  assert.equal(await neighbour.try(), true)
  shared.release()
  await neighbourRefused(other)
  await getsInAfter(t, exclusive, () => neighbour.release())
  await neighbourRefused(neighbour)
})
