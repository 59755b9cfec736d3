'use strict'

// Python's locket and filelock. No Node loads them: the rows of several processes start a program in Python for each
// of theirs, which takes the lock by the adapter, a module with `lock(path)`.

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const { PYTHON } = require('../../scripts/python.js')

const ROWS = ['hand-over', 'contention-2', 'contention-8', 'contention-32', 'killed-holder', 'idle-waiter']

const VERSION = 'import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))'

function python(name) {
  return {
    name: `${name} (Python)`,
    kind: 'kernel',
    runtime: 'Python',
    version: () => spawnSync(PYTHON, ['-c', VERSION, name], { encoding: 'utf8' }).stdout.trim(),
    needs: 'python',
    program: { file: PYTHON, adapter: path.join(__dirname, `python_${name}.py`) },
    rows: ROWS,
  }
}

module.exports = [python('locket'), python('filelock')]
