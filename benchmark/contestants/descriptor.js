'use strict'

// Descriptors of files for the peers that lock one, opened and closed in the way that suits these peers best.

const fs = require('node:fs')
const { promisify } = require('node:util')

module.exports = {
  /** The one of node:fs/promises is slower: its descriptors are objects with a life of their own. */
  open: promisify(fs.open),
  /**
   * On this thread. fs.close would cost a further trip over libuv's pool; and with fs-ext, four waiters have all threads
   * of the pool, so that the descriptor whose closing they wait for would never be closed.
   */
  close: fs.closeSync,
}
