'use strict'

// Python's locket, whose lock this is, and two more libraries that take the same one.

const path = require('node:path')

const { PYTHON, preparePython } = require('../../scripts/python.js')
const { Talker, unavailable } = require('../support.js')
const { Agent, testNeighbour } = require('./neighbour.js')

const obstacle = preparePython()

for (const library of ['locket', 'filelock', 'portalocker']) {
  testNeighbour(`Python's ${library}`, {
    available: (t) => obstacle === undefined || unavailable(t, obstacle),
    start: (t, file) => new Agent(new Talker(t, PYTHON, [path.join(__dirname, 'agent.py'), library, file])),
  })
}
