'use strict'

// The lock between two clients of a file system that is served over a network. `npm run test:cluster` runs this once for each
// file system, in namespaces of its own.
//
// Usage: node cluster.test.js SYSTEM FILE [--quick], where FILE is for what came out, as JSON.

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

  function declare(tests) {
    for (const [what, body] of Object.entries(tests)) {
      outcomes[what] = { outcome: 'not run' }
      test(what, async () => {
        outcomes[what] = { outcome: 'fails' }
        const file = `${++files}.lock`
        const [a, b] = await Promise.all([cluster.clients[0].agent(), cluster.clients[1].agent()])
        const figure = await body({ ...cluster, a, b, system, file })
        outcomes[what] = { outcome: 'passes', figure }
        await Promise.all([a.kill(), b.kill()])
      })
    }
  }

  declare(ordinary)
  if (!flags.includes('--quick')) describe('when a client is lost', { concurrency: true }, () => declare(lost))
})
