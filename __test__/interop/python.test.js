'use strict'

// Python's locket, whose lock this is, and two more libraries that take the same one.

const path = require('node:path')

const { PYTHON, preparePython } = require('../../scripts/python.js')
const { Talker } = require('../support/processes.js')
const { Agent, testNeighbour } = require('./neighbour.js')

const AGENT = path.join(__dirname, 'agent.py')

/** Without the libraries the tests are skipped; with LOCKET_REQUIRE_ALL=1 they fail. */
const obstacle = preparePython()
const options = { skip: process.env.LOCKET_REQUIRE_ALL !== '1' && obstacle }

for (const library of ['locket', 'filelock', 'portalocker']) {
  const start = (t, file) => new Agent(new Talker(t, PYTHON, [AGENT, library, file]))
  testNeighbour(`Python's ${library}`, { options, start })
}
