'use strict'

// Locks that PostgreSQL keeps, at a server that the benchmark starts (see setup.js): this clone's package, pg alone with prepared
// statements, which favour it, and a peer. The name of the lock is the path.

const path = require('node:path')

const { installed, opener } = require('./installed.js')

const POSTGRES = path.join(__dirname, '../../packages/postgres')
const { name } = require(path.join(POSTGRES, 'package.json'))

/** Set by setup.js. */
const connectionString = () => process.env.LOCKET_BENCH_POSTGRES

const pg = installed('pg')
const advisoryLock = installed('advisory-lock')

const LOCK = { name: 'lock', text: 'select pg_advisory_lock(hashtextextended($1, 0))' }
const UNLOCK = { name: 'unlock', text: 'select pg_advisory_unlock(hashtextextended($1, 0))' }

const ROWS = ['uncontended-async', 'hand-over', 'killed-holder', 'waiters-1000'].map((row) => `postgres-${row}`)

const cannot = { 'postgres-waiters': 'takes a session for each waiter, of which the server has 100' }

module.exports = [
  {
    name,
    kind: 'database',
    rival: pg.name,
    rows: ROWS,
    needs: 'postgres',
    version: () => undefined,
    open: opener(() => {
      const { postgresLock } = require(POSTGRES)
      // Opens a session before the first acquire, as the others do.
      postgresLock('none', { connection: connectionString() }).isLocked()
      return (file) => {
        const lock = postgresLock(file, { connection: connectionString() })
        return { acquire: () => lock.acquire(), release: () => lock.release() }
      }
    }),
  },
  {
    ...pg,
    kind: 'database',
    needs: 'postgres',
    open: opener(() => {
      const { Client } = pg.load()
      return (file) => {
        const client = new Client(connectionString())
        const connected = client.connect()
        return {
          async acquire() {
            await connected
            await client.query({ ...LOCK, values: [file] })
          },
          release: () => client.query({ ...UNLOCK, values: [file] }),
        }
      }
    }),
    cannot,
  },
  {
    ...advisoryLock,
    kind: 'database',
    needs: 'postgres',
    open: opener(() => {
      const createMutex = advisoryLock.load().default(connectionString())
      return (file) => {
        const mutex = createMutex(file)
        return { acquire: () => mutex.lock(), release: () => mutex.unlock() }
      }
    }),
    cannot,
  },
]
