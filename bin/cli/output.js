'use strict'

const fs = require('node:fs')

const { nameHolders } = require('../../lib/errors.js')
const { ancestors } = require('./ancestors.js')

/** The pause before writing to a full pipe again, in milliseconds. */
const PAUSE = 5

/**
 * Writes to descriptor 1 or 2, synchronously. A stream of Node's would make a pipe non-blocking for every process that
 * shares it.
 */
function write(descriptor, text) {
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(descriptor, rest))
    } catch (error) {
      // Nobody reads it any more. The command runs all the same.
      if (error.code !== 'EAGAIN') return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE)
    }
  }
}

/**
 * Returns `, held by 4242 (node deploy.js), 4243`, or '' if nobody is known. It points out an ancestor: usually a locket
 * whose command asks for the same lock again, and which waits for this process.
 */
function heldBy(holders = [], line = ancestors()) {
  if (holders.length === 0) return ''
  const above = holders.find(({ pid, host }) => host === undefined && line.includes(pid))
  return `, ${nameHolders(holders)}${above ? `; ${above.pid} is an ancestor of this process` : ''}`
}

module.exports = { heldBy, write }
