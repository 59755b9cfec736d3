'use strict'

// examples/named-jobs.js

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { LockManager } = require('../../..')
const { temporaryFolder } = require('../../support/folders.js')
const { LINUX } = require('../../support/systems.js')
const { eventually, until } = require('../../support/waiting.js')
const { start } = require('./example.js')

const JO = 'backup of Jo/☃'

/** A process of the service, and a function that requests something of it. `takes`: how long its jobs last, in seconds. */
async function serve(t, folder, takes) {
  const service = start(t, 'named-jobs.js', folder, ['0', '--takes', String(takes)])
  const [, port] = /^Process \d+ listens on port (\d+)$/.exec(await service.line())
  const fetchPath = async (target, options) => {
    const response = await eventually(fetch(`http://localhost:${port}/${target}`, options), 'an answer')
    return { status: response.status, text: await response.text() }
  }
  return {
    service,
    post: (name, query = '', signal = undefined) =>
      fetchPath(encodeURIComponent(name) + query, { method: 'POST', signal }),
    list: async () => (await fetchPath('')).text.split('\n').filter(Boolean),
    get: fetchPath,
  }
}

const done = ({ service }, name) => ({ status: 200, text: `${name}: done by process ${service.pid}\n` })
const busy = (name) => ({ status: 409, text: `${name}: runs already\n` })

/** Waits until a service lists this line. */
const lists = (service, line) => until(async () => (await service.list()).some((each) => line.test(each)), String(line))

test('of a name one job runs at a time, in whatever process, and other names run beside it', async (t) => {
  const folder = temporaryFolder(t)
  const [slow, quick] = [await serve(t, folder, 60), await serve(t, folder, 0)]
  slow.post(JO).catch(() => {})
  await lists(slow, /^backup of Jo\/☃: runs in \d+-0$/)
  for (const service of [slow, quick]) assert.deepEqual(await service.post(JO), busy(JO))
  assert.deepEqual(await quick.post(JO, '?wait=0.01'), busy(JO))
  for (const name of ['backup of jo/☃', '-', 'x'.repeat(1000)]) {
    assert.deepEqual(await quick.post(name), done(quick, name))
  }
  if (LINUX) assert.deepEqual(await quick.list(), [`${JO}: runs in ${slow.service.pid}`])
})

test('a job that waits runs when the process of the other one is killed', async (t) => {
  const folder = temporaryFolder(t)
  const [slow, quick] = [await serve(t, folder, 60), await serve(t, folder, 0)]
  slow.post(JO).catch(() => {})
  await lists(slow, /runs/)
  const waiting = quick.post(JO, '?wait=60')
  await lists(quick, /waits in \d+-0$/)
  await slow.service.kill()
  assert.deepEqual(await waiting, done(quick, JO))
  const files = path.join(folder, 'named-jobs')
  await until(() => fs.readdirSync(files).length === 0, 'an empty folder')
})

test('a client that hangs up before its job has begun is forgotten', async (t) => {
  const folder = temporaryFolder(t)
  const service = await serve(t, folder, 0)
  const locks = new LockManager(path.join(folder, 'named-jobs'))
  await locks.request(`job: ${JO}`, async () => {
    const client = new AbortController()
    const waiting = service.post(JO, '?wait=60', client.signal)
    await lists(service, /waits/)
    client.abort()
    await assert.rejects(waiting, { name: 'AbortError' })
    await until(async () => !(await service.list()).some((line) => /waits/.test(line)), 'the end of the wait')
  })
  assert.deepEqual(await service.post(JO), done(service, JO))
  assert.equal(service.service.stderr, '')
})

test('what is no job is refused', async (t) => {
  const service = await serve(t, temporaryFolder(t), 0)
  assert.equal((await service.get('', { method: 'POST' })).status, 404)
  assert.equal((await service.get('name')).status, 404)
  assert.equal((await service.get('%ff', { method: 'POST' })).status, 400)
  assert.equal((await service.post('name', '?wait=-1')).status, 400)
  assert.equal((await service.post('name', '?wait=soon')).status, 400)
})
