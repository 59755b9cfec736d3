'use strict'

// The command: how it is started, how long it runs, how it ends.

const { spawn } = require('node:child_process')
const { constants } = require('node:os')

const { commandFailure } = require('./failure.js')
const { startWith } = require('./shell.js')
const { PASSED_ON } = require('./signals.js')

const WINDOWS = process.platform === 'win32'

/** What spawn has to start for a request, and the name that messages have for it. */
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
 * Runs it, with the `stdio` of spawn() and the `signals` that takeSignals() has taken. Resolves to `{ code, signal }`.
 */
function runCommand({ name, file, args, verbatim = false }, stdio, signals) {
  return new Promise((resolve, reject) => {
    let child
    // Before it is started: a signal that comes meanwhile is for it, too.
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

/** Ends this process as the command has ended: by the same signal, or with the exit code that is answered. */
function endAs({ code, signal }) {
  if (signal === null) return code
  return PASSED_ON.includes(signal) ? endBy(signal) : statusOf(signal)
}

/** Ends this process by `signal`, or with the exit code that is answered: the first process of a container is spared. */
function endBy(signal) {
  process.kill(process.pid, signal)
  return statusOf(signal)
}

const statusOf = (signal) => 128 + constants.signals[signal]

module.exports = { endAs, endBy, runCommand, startOf }
