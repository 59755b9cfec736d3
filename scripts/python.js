'use strict'

// Virtual environments with Python packages of exactly the versions that a requirements.txt names: the libraries that the
// interoperation tests lock against, and the tools of the prebuilds.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { root } = require('./prepare.js')

const PROGRAMS = process.platform === 'win32' ? 'Scripts' : 'bin'
const LIBRARIES = path.join(root, '__test__/interop')

/** Where the programs of the virtual environment in `folder` are. */
const programsOf = (folder) => path.join(folder, PROGRAMS)

const pythonOf = (folder) => path.join(programsOf(folder), process.platform === 'win32' ? 'python.exe' : 'python')

/** Makes the virtual environment `folder` if it is missing or out of date. Returns what is in the way, if anything. */
function prepareVenv(folder, requirements) {
  const stamp = path.join(folder, 'requirements.txt')
  const wanted = fs.readFileSync(requirements)
  if (fs.existsSync(stamp) && fs.readFileSync(stamp).equals(wanted)) return undefined
  const python = ['python3', 'python'].find((name) => spawnSync(name, ['-m', 'venv', '--help']).status === 0)
  if (!python) return 'there is no Python 3 with its venv module'
  console.log(`Installing the Python packages of ${path.relative(root, requirements)}`)
  const steps = [
    [python, '-m', 'venv', '--clear', folder],
    [pythonOf(folder), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements],
  ]
  for (const [command, ...args] of steps) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
    if (status !== 0) return `${command} ${args.join(' ')} failed: ${stderr.trim().split('\n').at(-1)}`
  }
  fs.writeFileSync(stamp, wanted)
  return undefined
}

const VENV = path.join(LIBRARIES, '.venv')

/** Makes the virtual environment of the interoperation tests. Returns what is in the way, if anything. */
const preparePython = () => prepareVenv(VENV, path.join(LIBRARIES, 'requirements.txt'))

module.exports = { preparePython, prepareVenv, programsOf, PYTHON: pythonOf(VENV), pythonOf }
