'use strict'

// Locks between hosts: network namespaces, one of which is cut off.

const assert = require('node:assert/strict')
const os = require('node:os')
const { after, before, test } = require('node:test')

const { requireAll } = require('../../../__test__/support/systems.js')
const { errorOf, eventually, until } = require('../../../__test__/support/waiting.js')
const { startAgent } = require('./support/agents.js')
const { hostsObstacle, Network } = require('./support/hosts.js')
const { countsOf, newName } = require('./support/locks.js')
const { useServer } = require('./support/server.js')

const obstacle = hostsObstacle()
if (obstacle !== undefined && requireAll) throw new Error(`LOCKET_REQUIRE_ALL: ${obstacle}`)
const skip = obstacle

const server = useServer({ host: '0.0.0.0' })
let network
let hosts

/** The options of locks on the hosts. */
const options = () => ({ connection: { ...server.connection, host: network.address } })

if (!skip) {
  before(() => {
    network = new Network()
    hosts = [network.add(), network.add()]
  })
  after(() => network.remove())
}

test('hosts exclude each other, and each sees who holds the lock on which host', { skip }, async (t) => {
  const name = newName()
  const agents = hosts.map((host) => startAgent(t, name, options(), host))
  await agents[0].acquire()
  assert.equal(await agents[1].tryAcquire(), false)
  const holders = await agents[1].holders()
  const expected = { pid: agents[0].pid, host: os.hostname(), mode: 'exclusive', address: hosts[0].address }
  assert.deepEqual(
    holders.map(({ serverPid, application, ...holder }) => holder),
    [expected],
  )
  const wait = agents[1].acquire()
  await agents[0].release()
  await eventually(wait, 'the lock')
})

test('a holder that is cut off hears of it before the next one gets the lock', { skip }, async (t) => {
  const name = newName()
  const [holder, next] = hosts.map((host) => startAgent(t, name, options(), host))
  const token = BigInt(await holder.acquire())
  const wait = next.acquire().then((value) => ({ token: BigInt(value), at: Date.now() }))
  const client = await server.connect(t, { host: '127.0.0.1' })
  await until(async () => (await countsOf(client, name)).waiting === 1, 'a wait')

  const start = Date.now()
  hosts[0].cut()
  t.after(() => hosts[0].heal())
  const lost = await eventually(holder.lost, 'the loss')
  const entered = await eventually(wait, 'the next holder')
  t.diagnostic(`lost after ${lost.at - start} ms, the next one in after ${entered.at - start} ms`)
  assert.equal(lost.code, 'ERR_LOCK_LOST')
  assert.ok(lost.at < entered.at)
  assert.ok(lost.at - start < 3500)
  assert.ok(entered.at - start < 10_000)
  assert.ok(entered.token > token)
  assert.equal(await holder.held(), false)

  hosts[0].heal()
  assert.equal((await errorOf(() => holder.release())).code, 'ERR_LOCK_LOST')
  assert.equal(await next.held(), true)
  assert.equal(await holder.tryAcquire(), false)
})

test('a wait that is cut off fails, and does not keep the lock from others', { skip }, async (t) => {
  const name = newName()
  const [cut, other] = hosts.map((host) => startAgent(t, name, options(), host))
  const client = await server.connect(t, { host: '127.0.0.1' })
  await other.acquire()
  const wait = errorOf(() => cut.acquire())
  await until(async () => (await countsOf(client, name)).waiting === 1, 'a wait')
  // Otherwise the system of the waiter sends its request again, for a quarter of an hour.
  await until(() => hosts[0].isAcknowledged(), 'the acknowledgement')
  hosts[0].cut()
  t.after(() => hosts[0].heal())
  await until(async () => (await countsOf(client, name)).waiting === 0, 'the end of the wait at the server')
  // The system of the waiter takes 12 s on Linux.
  assert.equal((await wait).code, 'ETIMEDOUT')
})
