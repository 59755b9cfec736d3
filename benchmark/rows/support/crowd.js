'use strict'

const { setImmediate: nextTurn, setTimeout: sleep } = require('node:timers/promises')

const { footprint, growth } = require('./processes.js')

/** How often, in milliseconds, to look whether all wait, and how many looks in a row must show as many threads. */
const LOOK = 20
const LOOKS = 6
const MOST_LOOKS = 250

/** Many waits in this process, each by a handle of its own. Each releases as soon as it is served. */
class Crowd {
  #handles
  #served = []

  /** One for each of the files, which may all be the same. */
  constructor(contestant, files) {
    this.#handles = files.map((file) => contestant.open(file))
  }

  /** All ask for their lock, and call `task` while they hold it. Resolves when the last of them has released it. */
  serve(task) {
    return Promise.all(
      this.#handles.map(async (handle, number) => {
        await handle.acquire()
        this.#served.push(number)
        if (task) await task()
        await handle.release()
      }),
    )
  }

  /**
   * The threads and the memory of the process once all wait: when no thread has come or gone for a while. The locks
   * are held by others until then.
   */
  async footprint() {
    let calm = 0
    let latest = footprint()
    for (let look = 0; look < MOST_LOOKS && calm < LOOKS; look++) {
      await sleep(LOOK)
      const previous = latest
      latest = footprint()
      calm = latest.threads === previous.threads ? calm + 1 : 0
    }
    if (this.served > 0) {
      throw new Error(`let in ${this.served} of ${this.#handles.length} waiters while the lock was held`)
    }
    return latest
  }

  /** How many have been served so far. */
  get served() {
    return this.#served.length
  }

  /** How many were served while somebody who had asked earlier was still waiting. */
  get overtakers() {
    const served = new Set()
    let first = 0
    let overtakers = 0
    for (const number of this.#served) {
      if (number > first) overtakers++
      served.add(number)
      while (served.has(first)) first++
    }
    return overtakers
  }
}

/** For how long two waiters must not get in at once, in milliseconds. */
const EXCLUSION_CHECK = 500

/**
 * By how many threads and MB this process grows when `count` handles wait for a file. Then they are served one by one for
 * a while, each for a turn of the event loop, which shows whether the lock excludes them from each other.
 */
async function growthOfCrowd(contestant, file, count) {
  const holder = contestant.open(file)
  await holder.acquire()

  const before = footprint()
  const crowd = new Crowd(contestant, new Array(count).fill(file))
  let callers = 0
  const served = crowd.serve(async () => {
    if (++callers > 1) throw new Error('let in two waiters at once')
    await nextTurn()
    callers--
  })
  served.catch(() => {})
  const grown = growth(before, await crowd.footprint())
  await holder.release()
  await Promise.race([served, sleep(EXCLUSION_CHECK)])
  return grown
}

module.exports = { Crowd, growthOfCrowd }
