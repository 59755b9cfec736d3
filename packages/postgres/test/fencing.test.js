'use strict'

// examples/fencing.js

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')

const { useServer } = require('./support/server.js')

const server = useServer()

test('the example shows a table that refuses what a former holder writes', async () => {
  const { host, port, user, database } = server.connection
  const env = { ...process.env, PGHOST: host, PGPORT: String(port), PGUSER: user, PGDATABASE: database }
  const example = path.join(__dirname, '../examples/fencing.js')
  const { stdout } = await promisify(execFile)(process.execPath, [example], { env })
  assert.deepEqual(stdout.trim().split('\n'), [
    'The first holder writes: true',
    'The second holder writes: true',
    'The first holder writes late: false',
    'What remains is of the second holder',
  ])
})
