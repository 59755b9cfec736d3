'use strict'

// A process with a lock of another program, told line by line what to do. The words are those of fixtures/agent.js. With the
// option `file` the command is for that file:
//
//   acquire {options}   says "waiting", then "acquired" or "ERR_LOCK_TIMEOUT"
//   try                 says "true" or "false", or the code of an error, or "exit" and that of a command
//   release             says "released", or the code of an error
//   check               says "true" or "false": is it locked?
//   block {"ms":ms}     blocks its event loop, then says "blocked"
//   compromised         says what proper-lockfile has told of the loss of the lock, or "nothing"
//
// Usage: node peer.js proper-lockfile|lockfile|lockfile-sync|dotlockfile|lockfile-create FILE OPTIONS

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const readline = require('node:readline')
const { promisify } = require('node:util')

/** How long is waited between two tries, in milliseconds. The programs' own choice, up to a minute, makes tests slow. */
const POLL = 2

let compromised = 'nothing'

/** Each `take`s the lock or not, and `free`s it. */
const PROGRAMS = {
  'proper-lockfile'(file, options) {
    const { lock, check } = require('proper-lockfile')
    let release
    return {
      async take() {
        const onCompromised = ({ code }) => {
          compromised = code
        }
        try {
          release = await lock(file, { ...options, onCompromised })
        } catch (error) {
          if (error.code !== 'ELOCKED') throw error
        }
        return release !== undefined
      },
      free() {
        const freed = release()
        release = undefined
        return freed
      },
      check: () => check(file, options),
    }
  },
  lockfile(file, options) {
    const lockfile = require('lockfile')
    const call = (name, ...args) => promisify(lockfile[name])(file, ...args)
    return {
      // It writes into its options.
      take: () => call('lock', { ...options }).then(() => true, refusal),
      free: () => call('unlock'),
      check: () => call('check', { ...options }),
    }
  },
  'lockfile-sync'(file, options) {
    const lockfile = require('lockfile')
    return {
      ...PROGRAMS.lockfile(file, options),
      async take() {
        try {
          lockfile.lockSync(file, { ...options })
          return true
        } catch (error) {
          return refusal(error)
        }
      },
    }
  },
  dotlockfile: (file, { pid = true }) =>
    command('dotlockfile', ['-l', ...(pid ? ['-p'] : []), '-r', '0'], ['-u'], file),
  'lockfile-create': (file, { pid = true }) =>
    command('lockfile-create', [...(pid ? ['--use-pid'] : []), '--retry', '0', '--lock-name'], undefined, file),
}

function refusal(error) {
  if (error.code !== 'EEXIST') throw error
  return false
}

/** Programs that exit with 4 where the lock is held, and put the number of this process into it. */
function command(name, take, free, file) {
  const run = (command, args) => spawnSync(command, [...args, file], { stdio: 'ignore' })
  return {
    take() {
      const { error, status, signal } = run(name, take)
      if (error) throw error
      if (status !== 0 && status !== 4) throw Object.assign(new Error(name), { code: `exit ${status ?? signal}` })
      return status === 0
    },
    free: () => (free ? run(name, free) : run('lockfile-remove', ['--lock-name'])),
    check: () => fs.existsSync(file),
  }
}

const [name, usualFile, usualOptions = '{}'] = process.argv.slice(2)
const locks = new Map()

function lockOf(file) {
  if (!locks.has(file)) locks.set(file, PROGRAMS[name](file, JSON.parse(usualOptions)))
  return locks.get(file)
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const commands = {
  async acquire(lock, { timeout = Infinity }) {
    console.log('waiting')
    const end = Date.now() + timeout
    for (;;) {
      if (await lock.take()) return 'acquired'
      if (Date.now() >= end) return 'ERR_LOCK_TIMEOUT'
      await sleep(POLL)
    }
  },
  try: (lock) => lock.take(),
  async release(lock) {
    await lock.free()
    return 'released'
  },
  check: (lock) => lock.check(),
  block(_lock, { ms }) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
    return 'blocked'
  },
  compromised: () => compromised,
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const [, word, json] = /^(\w+) ?(.*)$/.exec(line)
  const { file = usualFile, ...options } = JSON.parse(json || '{}')
  try {
    console.log(String(await commands[word](lockOf(file), options)))
  } catch (error) {
    console.log(error.code ?? error.stack)
  }
})
