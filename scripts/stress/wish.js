'use strict'

// What an attempt is going to be like, at random.

/** How often each method is used. */
const ASYNC = ['acquire', 'acquire', 'acquire', 'acquire', 'run', 'run', 'run', 'tryAcquire']
const SYNC = ['acquireSync', 'acquireSync', 'tryAcquireSync']

const HANDLES = ['own', 'common', 'new']
const ABORTS = ['before', 'at once', 'soon', 'later', 'later']

/** The longest timeout in milliseconds, and that of a synchronous wait in a thread with other tasks, which stand still. */
const LONGEST = 40
const LONGEST_AMONG_OTHERS = 3

/** How often any file is wanted instead of the favourite. */
const STRAYING = 0.03

/** How often a sync method is used in a thread with other tasks: it holds them all up. */
const SYNC_AMONG_OTHERS = 0.005

/**
 * `favourite`: the file that this process mostly wants now. `exclusive`: the locks cannot be shared. `alone`: the thread has
 * no other tasks, so it may wait without end by a sync method. Otherwise one of them could hold what the holder of the wanted
 * lock waits for.
 */
function makeWish(random, { files, favourite, exclusive, alone }) {
  const sync = alone || random.chance(SYNC_AMONG_OTHERS)
  const method = random.pick(sync ? SYNC : ASYNC)
  return {
    file: random.chance(STRAYING) ? random.below(files) : favourite,
    mode: !exclusive && random.chance(0.4) ? 'shared' : 'exclusive',
    method,
    sync,
    timeout: method.startsWith('try') ? undefined : chooseTimeout(random, sync && !alone),
    abort: !sync && random.chance(0.1) ? random.pick(ABORTS) : undefined,
    handle: random.pick(HANDLES),
    hold: chooseHold(random, sync),
    /** Released by disposal, not by release(). */
    disposes: random.chance(0.2),
  }
}

/** In milliseconds; undefined is without end. */
function chooseTimeout(random, isShort) {
  if (isShort) return random.below(LONGEST_AMONG_OTHERS + 1)
  if (random.chance(0.75)) return undefined
  return random.chance(0.1) ? 0 : random.below(LONGEST + 1)
}

/** What the holder does between reading the counter and writing it: mostly nothing. */
function chooseHold(random, sync) {
  if (random.chance(0.01)) return 'while'
  return !sync && random.chance(0.1) ? 'turn' : 'none'
}

module.exports = { makeWish }
