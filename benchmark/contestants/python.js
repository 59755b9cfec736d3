'use strict'

// Python's locket and filelock, in the rows of several processes, and portalocker in that of the semaphore. Each process is a
// program in Python: see agent.py.

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const { PYTHON } = require('../../scripts/python.js')

const ROWS = ['hand-over', 'contention-2', 'contention-8', 'contention-32', 'killed-holder', 'idle-waiter']

const VERSION = 'import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))'

function python(name, rows = ROWS) {
  return {
    name: `${name} (Python)`,
    kind: 'kernel',
    runtime: 'Python',
    version: () => spawnSync(PYTHON, ['-c', VERSION, name], { encoding: 'utf8' }).stdout.trim(),
    needs: 'python',
    program: [PYTHON, path.join(__dirname, '../rows/support/agent.py'), name],
    rows,
  }
}

module.exports = [python('locket'), python('filelock'), { ...python('portalocker', []), limitsProcesses: true }]
