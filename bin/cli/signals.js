'use strict'

// Handles signals: during the wait they end it, later they are for the command.

const fs = require('node:fs')

/** Passed on to the command; if one ends it, it ends locket, too. */
const PASSED_ON = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT']

/** All that are passed on. (By default Node.js opens its debugger on SIGUSR1.) */
const FOR_COMMAND = [...PASSED_ON, 'SIGUSR1', 'SIGUSR2']

/** Sent by a key of the terminal, to all processes in its foreground. */
const BY_KEY = ['SIGINT', 'SIGQUIT']

/**
 * Returns the signals that have a listener during the wait, and while the command runs.
 *
 * On Windows there is no listener during the wait: the default action ends every process, with the usual status. Ctrl-Break
 * is SIGBREAK: without a listener it would end locket, and so the lock, before the command.
 */
function signalsOn(platform) {
  if (platform === 'win32') return { duringWait: [], duringCommand: [...FOR_COMMAND, 'SIGBREAK'] }
  return { duringWait: FOR_COMMAND, duringCommand: FOR_COMMAND }
}

/**
 * Takes over the signals. The default action would not suffice: the kernel ignores it in process 1 of a container.
 *
 * - `interruption` is an AbortSignal that fires at the first signal during the wait. Its `reason` is the signal's name.
 * - `passTo(pass)` ends that, and calls `pass` with each signal that the command does not get from the terminal.
 * - `stop()` restores the default actions.
 */
function takeSignals() {
  const { duringWait, duringCommand } = signalsOn(process.platform)
  const controller = new AbortController()
  let take = (signal) => controller.abort(signal)
  const listener = (signal) => take(signal)
  for (const signal of duringWait) process.on(signal, listener)
  return {
    interruption: controller.signal,
    passTo(pass) {
      take = (signal) => {
        // On a second one, many programs quit without cleaning up.
        if (!hasItAlready(signal)) pass(signal)
      }
      for (const signal of duringCommand) if (!duringWait.includes(signal)) process.on(signal, listener)
    },
    stop() {
      for (const signal of duringCommand) process.off(signal, listener)
    },
  }
}

/** Resolves when the listeners have been called for all signals that have come so far. */
async function signalsSeen() {
  const { setImmediate } = require('node:timers/promises')
  // The event loop calls them last in an iteration. The second iteration is a whole one.
  await setImmediate()
  await setImmediate()
}

/** Returns true if the command gets the signal itself, from a terminal or console. */
function hasItAlready(signal, platform = process.platform) {
  // There signals come only from the console, and go to all its processes.
  if (platform === 'win32') return true
  return BY_KEY.includes(signal) && inForeground()
}

/** Returns true if this process, and so the command, is in the terminal's foreground. */
function inForeground() {
  try {
    const stat = fs.readFileSync('/proc/self/stat', 'latin1')
    // The program's name stands before it, and can have any characters.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return group === foreground
  } catch {
    const { isatty } = require('node:tty')
    return [0, 1, 2].some((descriptor) => isatty(descriptor))
  }
}

module.exports = { hasItAlready, PASSED_ON, signalsOn, signalsSeen, takeSignals }
