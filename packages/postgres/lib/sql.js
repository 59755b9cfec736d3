'use strict'

// What is said to the server. Each name is written with its schema: search_path may lead to functions of others.

const { Client } = require('pg')

/**
 * Settings of each session. By the first four, the server notices within 5 s that the host of a client is gone, which is later
 * than the client notices that the server is (see session.js). By the next one, a waiter whose process is gone leaves the queue.
 * The others would end a session that holds a lock or waits. Some are not in every version.
 */
const SETTINGS = {
  tcp_keepalives_idle: '2',
  tcp_keepalives_interval: '1',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '5000',
  client_connection_check_interval: '1000',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  transaction_timeout: '0',
  statement_timeout: '0',
  lock_timeout: '0',
}

const settings = Object.entries(SETTINGS)
  .map(([name, value]) => `('${name}', '${value}')`)
  .join(', ')

/** Sets up a session. Answers with the process ID and the version of the server, and whether it is a standby. */
const SET_UP = `select pg_catalog.pg_backend_pid(), pg_catalog.version(),
  pg_catalog.current_setting('server_version_num'), pg_catalog.pg_is_in_recovery(),
  (select pg_catalog.count(pg_catalog.set_config(name, value, false))
   from (values ${settings}) as wanted (name, value) join pg_catalog.pg_settings as known using (name)
   where name <> 'client_connection_check_interval' or pg_catalog.version() ~ 'linux')`

const HEARTBEAT = 'select 1'

const UNLOCK_ALL = 'select pg_catalog.pg_advisory_unlock_all()'

/**
 * Locks, and answers with the token: the number of a transaction that has begun before, but gets its number now, which is
 * greater than that of any before it. CASE is what SQL promises to evaluate in this order. Refused, it answers with null.
 */
const lockStatement = (verb, condition, shared) => ({
  name: `locket_${verb}${suffix(shared)}`,
  text: `select case when pg_catalog.pg_${verb}${suffix(shared)}(pg_catalog.hashtextextended($1, 0)) ${condition}
    then pg_catalog.pg_current_xact_id() end`,
})

const suffix = (shared) => (shared ? '_shared' : '')

const unlockStatement = (shared) => ({
  name: `locket_unlock${suffix(shared)}`,
  text: `select pg_catalog.pg_advisory_unlock${suffix(shared)}(pg_catalog.hashtextextended($1, 0))`,
})

/** For each mode, the statements whose only value is the name of the lock. Those that are run often are prepared by name. */
const STATEMENTS = Object.fromEntries(
  ['exclusive', 'shared'].map((mode) => {
    const shared = mode === 'shared'
    const lock = lockStatement('advisory_lock', 'is not null', shared)
    return [mode, { lock, try: lockStatement('try_advisory_lock', '', shared), unlock: unlockStatement(shared) }]
  }),
)

/** Returns the questions about the lock of this name. */
function questionsOn(name) {
  const locks = `from pg_catalog.pg_locks as l where l.locktype = 'advisory' and l.objsubid = 1
    and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
    and (l.classid::bigint << 32) | l.objid::bigint =
      pg_catalog.hashtextextended(${Client.prototype.escapeLiteral(name)}, 0)`
  return {
    isWaitedFor: `select exists (select ${locks} and not l.granted)`,
    isLocked: `select exists (select ${locks} and l.granted)`,
    holders: `select l.mode, a.pid, a.application_name, pg_catalog.host(a.client_addr)
      from (select l.mode, l.pid ${locks} and l.granted) as l
      join pg_catalog.pg_stat_activity as a using (pid) order by a.backend_start, a.pid`,
  }
}

module.exports = { HEARTBEAT, questionsOn, SET_UP, STATEMENTS, UNLOCK_ALL }
