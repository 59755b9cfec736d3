'use strict'

// A process that takes locks as it is told, line by line. agent.py is the same for Python's libraries.
//
//   acquire          waits for the locks of all its files, then says "acquired"
//   release          releases them, or the one of that number in its list (not in Python), and says nothing: writing would take processor time from the process that gets the
//                    lock now
//   log              says when it asked, entered and left, for each acquire, in nanoseconds of the clock
//   block {options}  acquires its file with options of the contestant, says "acquired", blocks its event loop for
//                    `duration` ms, and releases (not in Python)
//   count {options}  takes turns with other processes at incrementing a counter, then says how it went (see count.js)
//   permits {options}  takes turns with other processes at the permits of a semaphore, then says how it went (see permits.js)
//   crowd {count}    says by how much it grows when so many wait for its file (see crowd.js; not in Python)
//
// It says "ready" first. It dies when its stdin ends, so that a trial that is ended leaves nobody behind.
//
// Usage: agent.js CONTESTANT FILE…

const fs = require('node:fs')
const readline = require('node:readline')

const { contestant } = require('../../contestants/index.js')
const { now, sleepSync, MILLISECOND } = require('./clock.js')
const { count } = require('./count.js')
const { growthOfCrowd } = require('./crowd.js')
const { takePermits } = require('./permits.js')

const [name, ...files] = process.argv.slice(2)
const handles = files.map((file) => contestant(name).open(file))
const log = []

const commands = {
  async acquire() {
    const asked = now()
    await Promise.all(handles.map((handle) => handle.acquire()))
    log.push([asked, now()])
    return 'acquired'
  },
  async release(number) {
    const released = number === undefined ? handles : [handles[number]]
    log.at(-1).push(now())
    await Promise.all(released.map((handle) => handle.release()))
  },
  log: () => JSON.stringify(log),
  async block(options) {
    const { duration, ...own } = JSON.parse(options)
    const handle = contestant(name).open(files[0], own)
    await handle.acquire()
    say('acquired')
    sleepSync(duration * MILLISECOND)
    await handle.release()
  },
  count: async (options) => JSON.stringify(await count(handles[0], JSON.parse(options))),
  async permits(json) {
    const { permits, ...options } = JSON.parse(json)
    return JSON.stringify(await takePermits(contestant(name).openSemaphore(files[0], permits), options))
  },
  crowd: async (size) => JSON.stringify(await growthOfCrowd(contestant(name), files[0], Number(size))),
}

function say(line) {
  fs.writeSync(1, `${line}\n`)
}

// Not process.exit(): it waits for the threads of libuv's pool, in which some peers wait for a lock.
const die = () => process.kill(process.pid, 'SIGKILL')

let last = Promise.resolve()
readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [command, options] = line.split(/ (.*)/)
    last = last
      .then(() => commands[command](options))
      .then((answer) => answer !== undefined && say(answer))
      .catch((error) => {
        fs.writeSync(2, error.stack)
        die()
      })
  })
  .on('close', die)
say('ready')
