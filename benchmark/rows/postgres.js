'use strict'

// What a lock costs that PostgreSQL keeps, at a server on this machine: the trials of the locks of files.

const { waiters } = require('./waiters.js')

/** @param ids the measures of the row, all of them by default */
const atServer = (row, title, ids) => ({
  ...row,
  id: `postgres-${row.id}`,
  title: `PostgreSQL: ${title}`,
  measures: row.measures.filter(({ id }) => ids === undefined || ids.includes(id)),
  kinds: ['database'],
})

const [uncontended] = require('./uncontended.js')

module.exports = [
  atServer(uncontended, 'acquire and release, uncontended'),
  atServer(require('./hand-over.js'), 'hand-over between two processes'),
  atServer(require('./killed-holder.js'), 'holder killed, next one in'),
  atServer(waiters(1000), '1,000 waiters', ['total', 'memory', 'overtakers']),
]
