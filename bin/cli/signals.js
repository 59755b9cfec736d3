'use strict'

// Signals for the command that come to locket instead.

const fs = require('node:fs')

/** They reach the command, and if they kill it they kill locket. */
const PASSED_ON = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT']

/** They reach the command, too. (Node's own answer to SIGUSR1 would be to open its debugger.) */
const FOR_COMMAND = [...PASSED_ON, 'SIGUSR1', 'SIGUSR2']

/** A terminal sends them, by a key, to all that runs in its foreground. */
const BY_KEY = ['SIGINT', 'SIGQUIT']

/** Calls `pass` with each signal that the command has not got by itself. Returns what ends it. */
function passSignals(pass) {
  const listener = (signal) => {
    // Two of them, and many programs quit without cleaning up.
    if (!hasItAlready(signal)) pass(signal)
  }
  for (const signal of FOR_COMMAND) process.on(signal, listener)
  return () => {
    for (const signal of FOR_COMMAND) process.off(signal, listener)
  }
}

function hasItAlready(signal) {
  // There they come from the console alone, and to all of its processes.
  if (process.platform === 'win32') return true
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

module.exports = { PASSED_ON, passSignals }
