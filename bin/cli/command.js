'use strict'

// The command: how it is started, how long it runs, how it ends.

const { spawn } = require('node:child_process')
const { constants } = require('node:os')

const { commandFailure } = require('./failure.js')
const { PASSED_ON, passSignals } = require('./signals.js')

const WINDOWS = process.platform === 'win32'

/** What spawn has to start for a request, and the name that messages have for it. */
function startOf({ command, line }) {
  if (WINDOWS) {
    const windows = require('./windows.js')
    const start = line === undefined ? windows.startOfCommand(command) : windows.startOfLine(line)
    return { name: command?.[0] ?? start.file, ...start }
  }
  const [file, ...args] = command ?? [process.env.SHELL || '/bin/sh', '-c', line]
  return { name: file, file, args }
}

/**
 * Runs it. Resolves to `{ code, signal }`. It gets the descriptor of the locked file as its fourth: so the lock stays
 * until it has ended, also when this process is killed.
 */
function runCommand({ name, file, args, verbatim = false }, descriptor) {
  return new Promise((resolve, reject) => {
    let child
    // Before it is started: a signal that comes meanwhile is for it, too.
    const stop = passSignals((signal) => child?.kill(signal))
    const fail = (error) => {
      stop()
      reject(commandFailure(error, name))
    }
    const stdio = ['inherit', 'inherit', 'inherit']
    if (descriptor !== undefined) stdio.push(descriptor)
    try {
      child = spawn(file, args, { stdio, windowsVerbatimArguments: verbatim })
    } catch (error) {
      return fail(error)
    }
    child.on('error', fail)
    child.on('exit', (code, signal) => {
      stop()
      resolve({ code, signal })
    })
  })
}

/** Ends this process as the command has ended: by the same signal, or with the exit code that is answered. */
function endAs({ code, signal }) {
  if (signal === null) return code
  if (PASSED_ON.includes(signal)) process.kill(process.pid, signal)
  // Another signal, or one that does not kill: the first process of a container is spared.
  return 128 + constants.signals[signal]
}

module.exports = { endAs, runCommand, startOf }
