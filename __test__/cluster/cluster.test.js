'use strict'

// The lock between two clients of a file system that is served over a network. `npm run test:cluster` runs this once for each
// file system, in namespaces of its own.
//
// Usage: node cluster.test.js SYSTEM FILE [--quick], where FILE gets the outcomes, as JSON.

const fs = require('node:fs')
const { after, before, describe, test } = require('node:test')

const { lost, ordinary } = require('./behaviour.js')
const { prepareHost } = require('./host.js')

const [name, results, ...flags] = process.argv.slice(2)
const system = require(`./file-systems/${name}.js`)

describe(name, () => {
  const outcomes = {}
  let cluster

  before(async () => {
    await prepareHost()
    const since = performance.now()
    cluster = await system.start()
    console.log(`${name}: up after ${((performance.now() - since) / 1000).toFixed(1)} s`)
  })

  after(() => fs.writeFileSync(results, JSON.stringify(outcomes)))

  let files = 0

  /** Declares tests. `clientsOf` returns the clients that a test uses. */
  function declare(tests, clientsOf) {
    for (const [i, [what, body]] of Object.entries(tests).entries()) {
      outcomes[what] = { outcome: 'not run' }
      test(what, async () => {
        outcomes[what] = { outcome: 'fails' }
        const file = `${++files}.lock`
        const { a, b, client } = clientsOf(i)
        const agents = { a: await a?.agent(), b: await b.agent() }
        const figure = await body({
          ...agents,
          client,
          clients: cluster.clients,
          servers: cluster.servers,
          system,
          file,
        })
        outcomes[what] = { outcome: 'passes', figure }
        await Promise.all([agents.a?.kill(), agents.b.kill()])
      })
    }
  }

  declare(ordinary, () => {
    const [a, b] = cluster.clients
    return { a, b }
  })
  if (flags.includes('--quick')) return
  // With clients to spare, the tests can lose them at the same time.
  const concurrency = system.hasSpareClients && !system.stallsWhenOneIsLost
  describe('when a client is lost', { concurrency }, () =>
    declare(lost, (i) => {
      const [b, client, ...spare] = cluster.clients
      return { b, client: system.hasSpareClients ? spare[i] : client }
    }),
  )
})
