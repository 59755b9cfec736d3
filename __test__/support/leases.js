'use strict'

// Leases of another process, which stand for paths that do not answer, as on a dead mount (see leases.py).

const path = require('node:path')

const { Talker } = require('./processes.js')
const { LINUX, needs, unavailable } = require('./systems.js')

/** A process that has write leases on `files`: nobody else can open them. undefined: the test is skipped. */
async function leaseOn(t, files, kind = 'F_WRLCK') {
  if (!LINUX) return unavailable(t, 'only Linux has leases') || undefined
  if (!needs(t, 'python3')) return undefined
  const lessee = new Talker(t, 'python3', [path.join(__dirname, 'leases.py'), kind, ...files])
  const answer = await lessee.line()
  return answer === 'leased' ? lessee : unavailable(t, answer) || undefined
}

module.exports = { leaseOn }
