'use strict'

// What is in the registry when all is published, and when publishing stopped half way.

const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')

const { programOf } = require('../../scripts/registry/install.js')
const { startRegistry } = require('../../scripts/registry/start.js')
const manifest = require('../../package.json')
const { Project } = require('./project.js')
const { DROP_IN, filesOf, has, PLATFORMS, POSTGRES, publishTo } = require('./published.js')

const { name: MAIN, version: VERSION } = manifest
const NAMES = [...PLATFORMS.map(({ name }) => name), MAIN, DROP_IN, POSTGRES]

let registry

before(async () => {
  if (programOf('verdaccio')) registry = await startRegistry()
})

after(() => registry?.stop())

/** What the registry says of our version of a package, or undefined. */
async function metadata(name) {
  const response = await fetch(new URL(name, registry.url))
  return response.status === 404 ? undefined : (await response.json()).versions[VERSION]
}

/** The packages that are in the registry. */
async function present() {
  const there = await Promise.all(NAMES.map(metadata))
  return NAMES.filter((_, i) => there[i])
}

/** The packages that somebody tried to publish since this was last asked, in their order, and the answer. */
async function puts() {
  const answered = await registry.answered()
  return answered.filter(({ method }) => method === 'PUT').map(({ url, status }) => `${url.slice(1)} ${status}`)
}

/** Publishes what no test before has published. */
async function publishMissing() {
  await registry.refuse([])
  if ((await present()).length < NAMES.length) publishTo(registry, PLATFORMS)
  await puts()
}

test('a dry run publishes nothing', async (t) => {
  if (!has(t, 'npm')) return
  const lines = publishTo(registry, PLATFORMS.slice(0, 1), { dryRun: true })
  assert.deepEqual(
    lines,
    [NAMES[0], MAIN, DROP_IN, POSTGRES].map((name) => `${name}@${VERSION} would be published`),
  )
  assert.deepEqual(await puts(), [])
})

test('publishing that stops half way can be repeated, and no package is there before those that it needs', async (t) => {
  if (!has(t, 'npm')) return
  for (const stop of NAMES.slice(-3)) {
    await t.test(`it stops at ${stop}`, async () => {
      const before = NAMES.slice(0, NAMES.indexOf(stop))
      const there = await present()
      await registry.refuse([stop])
      assert.throws(() => publishTo(registry, PLATFORMS), /E403/)
      assert.deepEqual(await present(), before)
      // What was there already was not published again.
      const missing = before.filter((name) => !there.includes(name))
      assert.deepEqual(await puts(), [...missing.map((name) => `${name} 201`), `${stop} 403`])
    })
  }
  await t.test('it is repeated: what is missing is published, the rest is left alone', async () => {
    await registry.refuse([])
    const lines = publishTo(registry, PLATFORMS)
    const expected = NAMES.map((name) => `${name}@${VERSION} is ${name === POSTGRES ? 'published' : 'there already'}`)
    assert.deepEqual(lines, expected)
    assert.deepEqual(await puts(), [`${POSTGRES} 201`])
    assert.deepEqual(await present(), NAMES)
  })
})

test('all is there: nothing is published', async (t) => {
  if (!has(t, 'npm')) return
  await publishMissing()
  const lines = publishTo(registry, PLATFORMS.slice(0, 1))
  assert.deepEqual(
    lines,
    [NAMES[0], MAIN, DROP_IN, POSTGRES].map((name) => `${name}@${VERSION} is there already`),
  )
  assert.deepEqual(await puts(), [])
})

test('the tarballs have what is needed, and nothing else', async (t) => {
  if (!has(t, 'npm')) return
  await publishMissing()
  const project = new Project(registry)
  for (const name of NAMES) {
    const [packed] = JSON.parse(project.tool('npm', 'pack', `${name}@${VERSION}`, '--json'))
    assert.deepEqual(packed.files.map((file) => file.path).sort(), filesOf(name), name)
  }
})

test('the registry knows which platform each package fits', async (t) => {
  if (!has(t, 'npm')) return
  await publishMissing()
  for (const { name, os, cpu, libc } of PLATFORMS) {
    const known = await metadata(name)
    assert.deepEqual({ os: known.os, cpu: known.cpu, libc: known.libc }, { os: [os], cpu: [cpu], libc: libc && [libc] })
    assert.deepEqual([known.license, known.engines], [manifest.license, manifest.engines])
  }
})

test('the main package depends on the platforms, if they fit, of its very version; and on nothing else', async (t) => {
  if (!has(t, 'npm')) return
  await publishMissing()
  const { dependencies, optionalDependencies, peerDependencies, os, cpu, libc } = await metadata(MAIN)
  const expected = Object.fromEntries(PLATFORMS.map(({ name }) => [name, VERSION]))
  assert.deepEqual(optionalDependencies, expected)
  assert.deepEqual([dependencies, peerDependencies, os, cpu, libc], Array(5).fill(undefined))
})

test('no package has scripts, or anything else that only a clone can use', async (t) => {
  if (!has(t, 'npm')) return
  await publishMissing()
  for (const name of NAMES) {
    const known = await metadata(name)
    const found = ['scripts', 'hasInstallScript', 'gypfile', 'devDependencies', 'overrides', 'napi'].filter(
      (key) => key in known,
    )
    assert.deepEqual(found, [], name)
  }
})
