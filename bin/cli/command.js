'use strict'

// Starts the command, waits for it, and ends as it has ended.

const { spawn } = require('node:child_process')
const { constants } = require('node:os')

const { commandFailure } = require('./failure.js')
const { startWith } = require('./shell.js')
const { PASSED_ON } = require('./signals.js')

const WINDOWS = process.platform === 'win32'

/** Returns the arguments of spawn() for a request, and the name of the command in messages. */
function startOf({ command, line, words, variables }) {
  if (WINDOWS) {
    const windows = require('./windows.js')
    const start = line === undefined ? windows.startOfCommand(command) : windows.startOfLine(line)
    return { name: command?.[0] ?? start.file, ...start }
  }
  const all = command ?? [process.env.SHELL || '/bin/sh', '-c', line]
  return { name: all[0], ...startWith(all, { words, variables }) }
}

/**
 * Runs it, with the `stdio` of spawn() and the `signals` of takeSignals(). Resolves to `{ code, signal }`.
 */
function runCommand({ name, file, args, verbatim = false }, stdio, signals) {
  return new Promise((resolve, reject) => {
    let child
    // Before it starts: a signal that comes meanwhile is for the command, too.
    signals.passTo((signal) => child?.kill(signal))
    const fail = (error) => reject(commandFailure(error, name))
    try {
      child = spawn(file, args, { stdio, windowsVerbatimArguments: verbatim })
    } catch (error) {
      return fail(error)
    }
    child.on('error', fail)
    child.on('exit', (code, signal) => resolve({ code, signal }))
  })
}

/** Ends this process by the signal that has ended the command, or returns the exit code. */
function endAs({ code, signal }) {
  if (signal === null) return code
  return PASSED_ON.includes(signal) ? endBy(signal) : statusOf(signal)
}

/** Ends this process by `signal`. Returns an exit code where the kernel prevents that: in process 1 of a container. */
function endBy(signal) {
  process.kill(process.pid, signal)
  return statusOf(signal)
}

const statusOf = (signal) => 128 + constants.signals[signal]

module.exports = { endAs, endBy, runCommand, startOf }
