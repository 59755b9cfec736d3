'use strict'

// `npm run demo`: processes take turns on one lock. One is killed while it holds the lock, and the next one gets in at
// once; another one does not want to wait for long, and is refused. Exit code 0 if all of that is so, else 1.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { overlap, succession } = require('./demo/record.js')
const { WIDTH, openScreen } = require('./demo/screen.js')
const { Stage } = require('./demo/stage.js')
const { summary } = require('./demo/picture.js')
const { prepare } = require('./prepare.js')

const TURN_TAKERS = ['A', 'B', 'C', 'D']
const TURNS_EACH = 3
/** Whose turn this is gets killed. So early that some other process has turns left, and is the next. */
const FATAL_TURN = 6

// All times are in milliseconds.
const HOLD = 330
const REST = 130
const IMPATIENCE = 300
const SUSPENSE = 150
/** Longer than it takes the next one to get in on any machine. The kernel needs two or three of these. */
const SUCCESSION_LIMIT = 20_000
const USUAL_LENGTH = 4700
/** The show hangs if it is not over by then. */
const LIMIT = 90_000

/** The story. */
async function play(stage, file) {
  const takers = TURN_TAKERS.map((name) => stage.enter(name, file))
  const impatient = stage.enter('E', file)
  await stage.until(() => stage.actors.every(({ state }) => state === 'ready'))

  let turn = 0
  async function takeTurns(actor) {
    for (let own = 0; own < TURNS_EACH; own++) {
      await actor.acquire()
      if (++turn === FATAL_TURN) return dieHolding(actor)
      await stage.pause(HOLD)
      await actor.release()
      await stage.pause(REST)
    }
    await actor.leave()
  }

  async function dieHolding(victim) {
    await impatient.acquire({ timeout: IMPATIENCE })
    if (impatient.state !== 'refused') throw new Error(`${impatient.name} has the lock that ${victim.name} holds`)
    await impatient.leave()
    await stage.until(() => takers.some(({ state }) => state === 'waits'))
    await stage.pause(SUSPENSE)
    victim.kill()
    await stage.untilWithin(
      SUCCESSION_LIMIT,
      () => succession(stage.events),
      `the next holder after ${victim.name} was killed`,
    )
  }

  await Promise.all(takers.map(takeTurns))
}

/** What must be true of any show that came to its end. */
function check(events) {
  const clash = overlap(events)
  if (clash) {
    const [first, second] = clash.map(({ name, from, to }) => `${name} from ${from.toFixed(3)} to ${to.toFixed(3)} ms`)
    throw new Error(`two holders at once: ${first}, ${second}`)
  }
}

async function main() {
  prepare()
  process.exitCode = 1
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'locket-demo-'))
  const stage = new Stage()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    const exitCode = 128 + os.constants.signals[signal]
    process.on(signal, () => stage.stop(Object.assign(new Error(`interrupted by ${signal}`), { exitCode })))
  }
  process.stdout.on('error', (error) => stage.stop(error))
  const limit = setTimeout(() => stage.stop(new Error(`not over within ${LIMIT} ms`)), LIMIT)

  console.log(`${TURN_TAKERS.length} processes take turns on one lock. One of them will be killed.\n`)
  const screen = openScreen(process.stdout, stage, USUAL_LENGTH)
  try {
    await play(stage, path.join(folder, 'demo.lock'))
    check(stage.events)
  } catch (error) {
    stage.stop(error)
  }
  clearTimeout(limit)
  await stage.clear()
  fs.rmSync(folder, { recursive: true, force: true })

  const { failure, events } = stage
  screen.close(failure ? [] : summary(events, WIDTH))
  if (failure) console.error(`The demo failed: ${failure.message}`)
  process.exitCode = failure ? (failure.exitCode ?? 1) : 0
}

main()
