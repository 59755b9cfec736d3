'use strict'

// What the options of the command do: the one description from which its man page and the completions are made. Their names
// are the parser's.

const { MOST_PERMITS, OPTIONS, SAME } = require('../../bin/cli/arguments.js')
const { PROTOCOLS } = require('../../lib/protocols.js')

/**
 * By option, in the order of the page: `text`, whose first sentence is what the completions show; `value`: the name of its
 * value; `choices`: the values that there are.
 */
const TEXTS = {
  exclusive: { text: 'Take an exclusive lock: one holder at a time. This is the default.' },
  shared: { text: 'Take a shared lock: many holders at a time, as long as all of them share it.' },
  nonblock: { text: 'Fail at once if the lock is held.' },
  timeout: {
    value: 'SECONDS',
    text: 'Wait no longer than this. Fractions are allowed. 0 is the same as --nonblock. Without this option, the wait has no limit.',
  },
  'conflict-exit-code': {
    value: 'CODE',
    text: 'Exit with this code if the lock was not acquired. From 0 to 255; the default is 1.',
  },
  command: {
    value: 'LINE',
    text: 'Run LINE in the shell. This option comes after FILE, in place of COMMAND.',
  },
  permits: {
    value: 'N',
    text:
      `Use FILE as a semaphore: at most N commands run at once. From 1 to ${MOST_PERMITS}. All that use the file must give the ` +
      'same number.',
  },
  quiet: { text: 'Say nothing of waits and conflicts.' },
  verbose: { text: 'Say how long it took to acquire the lock, and which command is run.' },
  who: {
    text:
      'List the holders of the lock, and those that wait for it. Takes no COMMAND. On Linux, there is a line for each, with its ' +
      'process ID, mode and program. The exit code is 1 if the file is not locked.',
  },
  json: { text: 'With --who: print JSON on one line.' },
  fcntl: { text: 'Short for --protocol fcntl.' },
  protocol: {
    value: 'NAME',
    choices: PROTOCOLS,
    text:
      `Use the locking method of programs that do not use flock(2). One of: ${PROTOCOLS.join(', ')}. The default is flock; fcntl ` +
      'is the other lock of the kernel; all others lock by the existence of a file, a folder or a link.',
  },
  stale: {
    value: 'SECONDS',
    text: 'The age from which a lock counts as abandoned. Only with the protocols proper-lockfile and lockfile.',
  },
  update: {
    value: 'SECONDS',
    text: 'How often the holder renews its lock. Only with the protocols proper-lockfile and lockfile.',
  },
  break: {
    text: 'Remove a lock by existence, whoever holds it. Takes no COMMAND, and needs --protocol. The exit code is 1 if there is none.',
  },
  help: { text: 'Print a summary of the options.' },
  version: { text: 'Print the version.' },
}

/** The options of flock(1) that are refused. */
const REFUSED = ['unlock', 'close', 'no-fork']

/** Returns all names of the option `name`: the short ones first, then the long ones. */
function namesOf(name) {
  const names = [name, ...Object.keys(SAME).filter((each) => SAME[each] === name)]
  const short = names.flatMap((each) => (each.length === 1 ? [each] : (OPTIONS[each].short ?? [])))
  return [...new Set(short)]
    .map((each) => `-${each}`)
    .concat(names.filter((each) => each.length > 1).map((each) => `--${each}`))
}

const ALL = Object.entries(TEXTS).map(([name, { text, value, choices }]) => ({
  name,
  names: namesOf(name),
  value,
  choices,
  text,
  summary: text.slice(0, text.search(/\.(?: |$)/)),
}))

module.exports = { ALL, REFUSED }
