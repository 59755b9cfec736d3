'use strict'

// Signals that come to locket: while it waits they end the wait, later they are for the command.

const fs = require('node:fs')

/** They reach the command, and if they kill it they kill locket. */
const PASSED_ON = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT']

/** They reach the command, too. (Node's own answer to SIGUSR1 would be to open its debugger.) */
const FOR_COMMAND = [...PASSED_ON, 'SIGUSR1', 'SIGUSR2']

/** A terminal sends them, by a key, to all that runs in its foreground. */
const BY_KEY = ['SIGINT', 'SIGQUIT']

/**
 * Returns the signals that are listened to during the wait, and while the command runs.
 *
 * On Windows nothing is listened to during the wait: the default action ends every process, with the status that is
 * usual there. Ctrl-Break is SIGBREAK: without a listener it would end locket, and so the lock, before the command.
 */
function signalsOn(platform) {
  if (platform === 'win32') return { duringWait: [], duringCommand: [...FOR_COMMAND, 'SIGBREAK'] }
  return { duringWait: FOR_COMMAND, duringCommand: FOR_COMMAND }
}

/**
 * Takes over the signals. The default action does not do: the kernel spares the first process of a container.
 *
 * - `interruption` is an AbortSignal that fires at the first signal during the wait. Its `reason` is the signal's name.
 * - `passTo(pass)` ends that: `pass` is called with each signal that the command has not got by itself.
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
        // Two of them, and many programs quit without cleaning up.
        if (!hasItAlready(signal)) pass(signal)
      }
      for (const signal of duringCommand) if (!duringWait.includes(signal)) process.on(signal, listener)
    },
    stop() {
      for (const signal of duringCommand) process.off(signal, listener)
    },
  }
}

/** Resolves when the listeners of all signals that have come so far have been called. */
async function signalsSeen() {
  const { setImmediate } = require('node:timers/promises')
  // The event loop calls them last in a turn; the second turn is a whole one.
  await setImmediate()
  await setImmediate()
}

/** Has the command got the signal by itself, from a terminal or console? */
function hasItAlready(signal, platform = process.platform) {
  // There they come from the console alone, and to all of its processes.
  if (platform === 'win32') return true
  return BY_KEY.includes(signal) && inForeground()
}

/** Does this process, and so the command, get what is typed at the terminal? */
function inForeground() {
  try {
    const stat = fs.readFileSync('/proc/self/stat', 'latin1')
    // Before it stands the program's name, with whatever characters.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return group === foreground
  } catch {
    const { isatty } = require('node:tty')
    return [0, 1, 2].some((descriptor) => isatty(descriptor))
  }
}

module.exports = { hasItAlready, PASSED_ON, signalsOn, signalsSeen, takeSignals }
