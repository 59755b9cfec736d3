'use strict'

// What an attempt is going to be like, at random.

const { ENDLESS, FIRST_SYNC, FORMS } = require('./journal.js')

/** How often each is wanted, where all are. */
const ASYNC_FORMS = ['acquire', 'acquire', 'acquire', 'acquire', 'run', 'run', 'run', 'tryAcquire']
const SYNC_FORMS = ['acquireSync', 'acquireSync', 'tryAcquireSync']

const HANDLES = ['own', 'common', 'new']
const ABORTS = ['before', 'at once', 'soon', 'later', 'later']

/** How a holder spends its time between reading the counter and writing it: mostly it does at once what it has to do. */
function chooseHold(random, sync) {
  if (random.chance(0.01)) return 'while'
  return !sync && random.chance(0.1) ? 'turn' : 'none'
}

/** The longest timeout, in milliseconds; of a sync wait in a thread whose other tasks stand still meanwhile, the second. */
const LONGEST = 40
const LONGEST_AMONG_OTHERS = 3

/** How often it is any file that is wanted. */
const STRAYING = 0.03

/** How often a sync form is wanted in a thread with other tasks: it holds them all up. */
const SYNC_AMONG_OTHERS = 0.005

/**
 * `favourite`: the file that this process mostly wants now. `alone`: the thread has no other tasks, so that it may wait
 * without end by a sync form. Where it has, one of them could hold what the holder of the wanted lock waits for.
 */
function makeWish(random, { files, favourite, alone }) {
  const sync = alone || random.chance(SYNC_AMONG_OTHERS)
  const form = random.pick(sync ? SYNC_FORMS : ASYNC_FORMS)
  const tries = form.startsWith('try')
  return {
    file: random.chance(STRAYING) ? random.below(files) : favourite,
    shared: random.chance(0.4),
    form: FORMS.indexOf(form),
    sync,
    timeout: tries ? 0 : chooseTimeout(random, sync && !alone),
    abort: !sync && random.chance(0.1) ? random.pick(ABORTS) : undefined,
    handle: random.pick(HANDLES),
    hold: chooseHold(random, sync),
    /** Released by disposal, not by release(). */
    disposes: random.chance(0.2),
  }
}

function chooseTimeout(random, isShort) {
  if (isShort) return random.below(LONGEST_AMONG_OTHERS + 1)
  if (random.chance(0.75)) return ENDLESS
  return random.chance(0.1) ? 0 : random.below(LONGEST + 1)
}

/** The options of the call. The signal is the caller's. */
function optionsOf({ form, timeout, shared }, signal) {
  const options = { mode: shared ? 'shared' : 'exclusive' }
  if (!FORMS[form].startsWith('try') && timeout !== ENDLESS) options.timeout = timeout
  if (form < FIRST_SYNC && signal) options.signal = signal
  return options
}

module.exports = { makeWish, optionsOf }
