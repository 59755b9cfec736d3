'use strict'

// The Python libraries that the interoperation tests lock against, in a virtual environment of their own.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { root } = require('./prepare.js')

const REQUIREMENTS = path.join(root, '__test__/interop/requirements.txt')
const VENV = path.join(root, '__test__/interop/.venv')
const PYTHON = path.join(VENV, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')
const STAMP = path.join(VENV, 'requirements.txt')

/** Makes the virtual environment if it is missing or out of date. Returns what is in the way, if anything. */
function preparePython() {
  const wanted = fs.readFileSync(REQUIREMENTS)
  if (fs.existsSync(STAMP) && fs.readFileSync(STAMP).equals(wanted)) return undefined
  const python = ['python3', 'python'].find((name) => spawnSync(name, ['-m', 'venv', '--help']).status === 0)
  if (!python) return 'there is no Python 3 with its venv module'
  console.log('Making a virtual environment for the interoperation tests')
  const steps = [
    [python, '-m', 'venv', '--clear', VENV],
    [PYTHON, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS],
  ]
  for (const [command, ...args] of steps) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
    if (status !== 0) return `${command} ${args.join(' ')} failed: ${stderr.trim().split('\n').at(-1)}`
  }
  fs.writeFileSync(STAMP, wanted)
  return undefined
}

module.exports = { preparePython, PYTHON }
