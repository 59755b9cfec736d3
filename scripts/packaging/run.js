'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const root = path.resolve(__dirname, '../..')

/** Runs a command to its end. What it has printed, and whether it failed. */
function run(command, args, options) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    shell: process.platform === 'win32' && command === 'npm',
    ...options,
  })
  const failure =
    status === 0 ? undefined : `${command} ${args.join(' ')} failed\n${error?.message ?? ''}${stderr}${stdout}`
  return { failure, stdout, stderr }
}

/** Runs a command, and returns what it prints. What npm says to people goes to nobody, unless it fails. */
function output(command, args, cwd) {
  const { failure, stdout } = run(command, args, { cwd })
  if (failure) throw new Error(failure)
  return stdout
}

module.exports = { output, root, run }
