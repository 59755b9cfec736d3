'use strict'

// Locks of a test, and what the server says of them.

const { postgresLock } = require('../..')

let names = 0

/** A name that no other test uses. */
const newName = () => `test ${++names}`

/**
 * Returns locks of a new name, which are released when the test ends. `elsewhere()` makes one that does not share sessions
 * with the others, as in another process.
 */
function locksOf(t, server, { name = newName(), ...options } = {}) {
  const all = []
  const lock = (more) => {
    const made = postgresLock(name, { connection: server.connection, ...options, ...more })
    all.push(made)
    return made
  }
  let others = 0
  const elsewhere = (more) => {
    const connection = { ...server.connection, application_name: `elsewhere ${++others}` }
    return lock({ connection, ...more })
  }
  t.after(() => Promise.allSettled(all.map((each) => each.held && each.release())))
  return { name, lock, elsewhere }
}

const KEY = "l.locktype = 'advisory' and ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended($1, 0)"

/** Returns how many sessions hold the lock of this name, and how many wait for it. */
async function countsOf(client, name) {
  const { rows } = await client.query(
    `select count(*) filter (where granted)::int as held, count(*) filter (where not granted)::int as waiting
     from pg_locks as l where ${KEY}`,
    [name],
  )
  return rows[0]
}

/** Returns the process IDs of the sessions that hold the lock of this name or wait for it. */
async function pidsOf(client, name, granted = true) {
  const { rows } = await client.query(`select pid from pg_locks as l where ${KEY} and granted = $2`, [name, granted])
  return rows.map(({ pid }) => pid)
}

/** Returns the number of sessions with this application_name. */
async function sessionsOf(client, application) {
  const text = 'select count(*)::int as n from pg_stat_activity where application_name = $1'
  const { rows } = await client.query(text, [application])
  return rows[0].n
}

module.exports = { countsOf, KEY, locksOf, newName, pidsOf, sessionsOf }
