'use strict'

const fs = require('node:fs')

const { nameHolders } = require('../../lib/errors.js')
const { ancestors } = require('./ancestors.js')

/** How long to leave a full pipe alone before the next try, in milliseconds. */
const PAUSE = 5

/**
 * Writes to descriptor 1 or 2, before anything else happens. A stream of Node's would make a pipe non-blocking, for
 * everybody who shares it.
 */
function write(descriptor, text) {
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(descriptor, rest))
    } catch (error) {
      // Nobody reads it any more. That is no reason to treat the command otherwise.
      if (error.code !== 'EAGAIN') return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE)
    }
  }
}

/**
 * `, held by 4242 (node deploy.js), 4243`; '' if nobody is known. An ancestor is pointed out: mostly it is a locket
 * whose command has come to the same lock again, and it waits for this process.
 */
function heldBy(holders = [], line = ancestors()) {
  if (holders.length === 0) return ''
  const above = holders.find(({ pid }) => line.includes(pid))
  return `, ${nameHolders(holders)}${above ? `; ${above.pid} is an ancestor of this process` : ''}`
}

module.exports = { heldBy, write }
