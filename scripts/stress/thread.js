'use strict'

// What a thread of a storm does until the end: many tasks side by side, or one that blocks the thread. Workers start here,
// the main thread of a process in process.js.

const { workerData } = require('node:worker_threads')

const { Attempts, sleep, sleepSync, turn } = require('./attempt.js')
const { Counter, Handles } = require('./files.js')
const { Journal } = require('./journal.js')
const { randomOf } = require('./random.js')
const { broken } = require('./sabotage.js')

/** How many worker threads do nothing but block, of all. */
const BLOCKING = 0.3

/** How often a lock is broken in a process that is sabotaged. */
const SABOTAGE = 0.05

/**
 * Each second begins with so many nanoseconds in which no process of Node asks for a lock. Otherwise programs that poll
 * hardly ever find it free, and a lock that is always wanted is never seen to become free and be taken again.
 */
const LULL = 60e6

/**
 * How long a process has one favourite among the files, in nanoseconds. By chance it shares it with others, or has it for
 * itself. If all always wanted the same files, there would be nothing but hand-overs between processes, a thousand a
 * second: with favourites there are bursts of every other kind in between, and several times as many attempts.
 */
const FAVOUR = 200e6

/**
 * How long a thread lives, in milliseconds on average, until it kills its process while it holds a lock. A process that is
 * killed from outside hardly ever holds one.
 */
const DOOM = 20_000

class Thread {
  #plan
  #number
  #stop
  #attempts = 0
  #doom
  #season
  #situation

  /** `plan`: see storm.js. `number`: of this thread in its process. `stop`: no longer 0 when all shall end. */
  constructor(plan, number, stop) {
    this.#plan = plan
    this.#number = number
    this.#stop = stop
    this.journal = new Journal(
      plan.folder,
      { process: plan.process, thread: number, program: 'node' },
      BigInt(plan.start),
    )
    this.counters = Array.from({ length: plan.files }, (_, file) => new Counter(plan.folder, file))
    this.#doom = this.journal.now() + this.random('doom').interval(DOOM) * 1e6
    this.common = new Handles(plan, this.random('common'))
  }

  /** Resolves when all has come to its end. */
  async run() {
    if (this.#number > 0 && this.random('role').chance(BLOCKING)) return this.#block()
    await Promise.all(Array.from({ length: this.#plan.tasks }, (_, task) => this.#work(task)))
  }

  async #work(task) {
    const random = this.random(task)
    const attempts = new Attempts(this, { random, alone: false, own: new Handles(this.#plan, random) })
    while (!this.isOver()) {
      const lull = this.#lull()
      if (lull > 0) await sleep(lull)
      else if (random.chance(0.02)) await sleep(random.below(10))
      else await turn()
      attempts.lookBack()
      await attempts.make()
    }
    await turn()
    attempts.lookBack()
  }

  #block() {
    const random = this.random('blocking')
    const attempts = new Attempts(this, { random, alone: true, own: new Handles(this.#plan, random) })
    while (!this.isOver()) {
      const lull = this.#lull()
      if (lull > 0) sleepSync(lull)
      else if (random.chance(0.2)) sleepSync(random.below(3))
      attempts.lookBack()
      attempts.makeSync()
    }
    attempts.lookBack()
  }

  isOver() {
    return this.journal.now() > this.#plan.end || Atomics.load(this.#stop, 0) !== 0
  }

  nextAttempt() {
    return this.#attempts++
  }

  random(what) {
    return randomOf(this.#plan.seed, this.#plan.process, this.#number, what)
  }

  /** The number of files, and the one that this process mostly wants now. */
  situation() {
    const { seed, process, files, options } = this.#plan
    const season = Math.floor(this.journal.now() / FAVOUR)
    if (season !== this.#season) {
      this.#season = season
      const favourite = randomOf(seed, process, 'season', season).below(files)
      this.#situation = { files, favourite, exclusive: options.protocol !== undefined }
    }
    return this.#situation
  }

  /** Kills this process if it is time. Called by holders. */
  meetDoom() {
    if (this.journal.now() < this.#doom) return
    this.journal.write('kills', { process: this.#plan.process })
    process.kill(process.pid, 'SIGKILL')
    // The signal may take an instant to come. Nothing more may be done until then.
    for (;;) sleepSync(1000)
  }

  sabotaged(lock, random) {
    return this.#plan.sabotage && random.chance(SABOTAGE) ? broken(lock, this.#plan.sabotage) : lock
  }

  /** How many milliseconds of a lull are left. */
  #lull() {
    return Math.ceil((LULL - (this.journal.now() % 1e9)) / 1e6)
  }
}

async function main({ plan, number, stop }) {
  const thread = new Thread(plan, number, stop)
  await thread.run()
  thread.journal.write('closed')
}

if (workerData?.plan) main(workerData)

module.exports = { Thread }
