'use strict'

// A table that refuses what a former holder of the lock writes, who does not know yet that the lock is lost.
//
//   PGHOST=localhost PGUSER=postgres node packages/postgres/examples/fencing.js
//
// Creates the table locket_report, and removes it.

const { postgresLock } = require('@locket/postgres')
const { Client } = require('pg')

// `token` is that of the last write. Any storage will do that can compare and write in one step.
const TABLE = 'create table if not exists locket_report (id integer primary key, body text, token bigint not null)'
const WRITE = `insert into locket_report values (1, $1, $2)
  on conflict (id) do update set body = excluded.body, token = excluded.token
  where locket_report.token <= excluded.token`

/** Resolves to true, or to false if somebody with a greater token has written before. */
async function write(database, body, { token }) {
  const { rowCount } = await database.query(WRITE, [body, token])
  return rowCount === 1
}

async function main() {
  const database = new Client()
  await database.connect()
  await database.query(TABLE)

  const first = await postgresLock('report').acquire()
  console.log(`The first holder writes: ${await write(database, 'first', first)}`)

  // The first holder's machine sleeps, say. The server ends its session, and gives the lock to the next one.
  const [{ serverPid }] = await first.holders()
  await database.query('select pg_terminate_backend($1)', [serverPid])
  const second = await postgresLock('report').acquire()
  console.log(`The second holder writes: ${await write(database, 'second', second)}`)

  // The first one wakes up. Its next step comes before any news from the network.
  console.log(`The first holder writes late: ${await write(database, 'late', first)}`)

  const { rows } = await database.query('select body from locket_report')
  console.log(`What remains is of the ${rows[0].body} holder`)
  await second.release()
  await database.query('drop table locket_report')
  await database.end()
}

main()
