'use strict'

const native = require('./native.js')

/** What this process holds and waits for, over all its threads. Like `navigator.locks.query()`, but at once. */
function query() {
  return native.query()
}

module.exports = { query }
