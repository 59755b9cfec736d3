'use strict'

// Those who come and go while others wait, and how long they hold the event loop up. The soak measures them where thousands
// wait and, in the same seconds, here, in a process of its own where nobody does: what differs is what the waits cost.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { monitorEventLoopDelay } = require('node:perf_hooks')

/** How many there are. */
const VISITORS = 50

/** Comes and goes: has a file of its own, or waits where all wait, and gives up. */
async function visit(lockFile, contended, own, isOver) {
  while (!isOver()) {
    await lockFile(own).run(() => new Promise(setImmediate))
    await lockFile(contended)
      .acquire({ timeout: 5 })
      .catch(() => {})
    const controller = new AbortController()
    const wait = lockFile(contended).acquire({ signal: controller.signal })
    setTimeout(() => controller.abort(), 5)
    await wait.catch(() => {})
  }
}

/** Starts all visitors of the locked file `contended`, with files of their own in `folder`. Resolves when all have left. */
const visitors = (lockFile, contended, folder, isOver) =>
  Promise.all(
    Array.from({ length: VISITORS }, (_, i) => visit(lockFile, contended, path.join(folder, `${i}.lock`), isOver)),
  )

/** Measures how long the event loop is held up: 99 of 100 delays between start() and stop() are shorter, in ms. */
function delayMeter() {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  return {
    start() {
      delays.reset()
      delays.enable()
    },
    stop() {
      delays.disable()
      return delays.percentile(99) / 1e6
    },
  }
}

/** The process where nobody else waits: visitors.js CONTENDED FOLDER. */
function main([contended, folder]) {
  const { lockFile } = require('../..')
  const meter = delayMeter()
  let isOver = false
  const commands = {
    start: () => meter.start(),
    stop: () => meter.stop(),
    /** From now on it does nothing. */
    async leave() {
      isOver = true
      await all
    },
  }
  process.on('disconnect', () => process.exit())
  process.on('message', async (command) => process.send({ answer: await commands[command]() }))
  const all = visitors(lockFile, contended, folder, () => isOver)
}

/** Starts that process. `ask(command)` resolves to its answer. */
function startTwin(contended, folder) {
  const child = fork(__filename, [contended, folder], { execArgv: [] })
  process.on('exit', () => child.kill('SIGKILL'))
  return {
    pid: child.pid,
    async ask(command) {
      child.send(command)
      const [{ answer }] = await once(child, 'message')
      return answer
    },
    end: () => child.disconnect(),
  }
}

module.exports = { VISITORS, delayMeter, startTwin, visitors }

if (require.main === module) main(process.argv.slice(2))
