'use strict'

// The other processes of the behaviours: `child.cjs PART FILE…`. Each says on its standard output, line by line, how far
// it is; what waits for a line ends when no more will come.

const { once } = require('node:events')

const { lockFile } = require('@locket/native')
const { told } = require('./talk.cjs')

const WAITS = 100

const [part, ...files] = process.argv.slice(2)
const [file] = files

const say = (line) => process.stdout.write(`${line}\n`)

/** Has many waits in line for `file`, which somebody else holds. */
async function queueUp() {
  for (let i = 0; i < WAITS; i++) lockFile(file).acquire()
  await lockFile(file).isLocked()
  say('waiting')
}

const parts = {
  /** Does what its lines say, with one handle: "acquire", "try" or "release". */
  agent() {
    const lock = lockFile(file)
    const commands = {
      async acquire() {
        const wait = lock.acquire()
        await lock.isLocked()
        say('waiting')
        await wait
        return 'acquired'
      },
      async try() {
        return (await lock.tryAcquire()) ? 'acquired' : 'refused'
      },
      release() {
        lock.release()
        return 'released'
      },
    }
    told().on('line', async (command) => say(await commands[command]()))
    say('ready')
  },

  /** Holds all the files until it is told to release them. */
  async holdAll() {
    const locks = await Promise.all(files.map((each) => lockFile(each).acquire()))
    say('acquired')
    told().once('line', () => {
      for (const lock of locks) lock.release()
      say('released')
    })
  },

  async exitsWaiting() {
    await queueUp()
    process.exit(3)
  },

  async failsWaiting() {
    await queueUp()
    setImmediate(() => {
      throw new Error('on purpose')
    })
  },

  /** Has nothing else to live for than its wait. */
  async waits() {
    const wait = lockFile(file).acquire()
    say('waiting')
    await wait
    say('acquired')
  },

  /** Has nothing to live for. */
  async holds() {
    await lockFile(file).acquire()
    say('acquired')
  },

  async dropsHandle() {
    const gc = globalThis.gc ?? (() => globalThis.Bun.gc(true))
    let handle
    await (async () => {
      handle = new WeakRef(await lockFile(file).acquire())
    })()
    // A look at the reference keeps what it names until the turn of the event loop is over: so collect in the next one.
    for (let round = 0, after = 0; round < 200 && after < 5; round++) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      gc()
      if (handle.deref() === undefined) after++
    }
    say(handle.deref() === undefined ? 'collected' : 'the garbage collector has not taken the handle')
    await once(told(), 'close')
  },
}

parts[part]()
