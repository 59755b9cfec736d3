'use strict'

// What users get who install by name, with each package manager, from a registry that has our packages and no others.

const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')

const { fileOf } = require('../../scripts/packaging/stage.js')
const { programOf } = require('../../scripts/registry/install.js')
const { startRegistry } = require('../../scripts/registry/start.js')
const { name: MAIN } = require('../../package.json')
const { MANAGERS } = require('./managers.js')
const { Project } = require('./project.js')
const { DROP_IN, filesOf, fitsHere, has, PLATFORMS, publishTo } = require('./published.js')
const { assertCommand, assertImported, assertLoads, assertRequired } = require('./uses.js')

const FITTING = PLATFORMS.filter((each) => fitsHere(each))

let registry

before(async () => {
  if (!programOf('verdaccio')) return
  registry = await startRegistry()
  publishTo(registry, PLATFORMS)
})

after(() => registry?.stop())

/** Which packages were downloaded since this was last asked. */
async function downloads() {
  const tarballs = (await registry.answered()).filter(({ url, status }) => url.endsWith('.tgz') && status === 200)
  return tarballs.map(({ url }) => url.slice(1).replace(/\/-\/.*/, '')).sort()
}

/** That the main package and these platforms came, with their files, and that nothing else came or was made. */
async function assertArrived(project, platforms, { fetched = platforms, mainIsZipped = false } = {}) {
  assert.deepEqual(await downloads(), [MAIN, ...fetched.map(({ name }) => name)].sort())
  const unpacked = [...(mainIsZipped ? [] : [MAIN]), ...platforms.map(({ name }) => name)]
  assert.deepEqual(project.packages(), Object.fromEntries(unpacked.map((name) => [name, filesOf(name)])))
}

for (const [name, manager] of Object.entries(MANAGERS)) {
  const what = manager.knowsLibc ? 'the binary that fits' : 'the binaries of any libc'
  test(`${name} installs ${what}, and no other`, async (t) => {
    const [tool] = manager.add
    if (!has(t, tool)) return
    const project = new Project(registry, manager)
    await downloads()
    project.add(MAIN)
    const fitting = PLATFORMS.filter((each) => fitsHere(each, manager.knowsLibc))
    const fetched = manager.fetchesAll ? PLATFORMS : fitting
    await assertArrived(project, fitting, { fetched, mainIsZipped: manager.node !== undefined })

    assertRequired(project)
    assertImported(project)
    assertLoads(project, fileOf(FITTING[0].platform))
    assertCommand(project)
    // Nothing was made by use, either; and what was asked of the registry since then was no tarball.
    assert.deepEqual(await downloads(), [])
  })
}

test('a project has no compiler', (t) => {
  if (!has(t, 'npm')) return
  const tried = `for (const name of ['cargo', 'rustc', 'cc', 'gcc', 'clang', 'make', 'node-gyp'])
    console.log(name, require('node:child_process').spawnSync(name).error?.code)`
  const { output } = new Project(registry).node('-e', tried)
  assert.match(output, /^(\S+ ENOENT\n){7}$/)
})

for (const { platform, name, os, cpu, libc } of PLATFORMS) {
  test(`npm installs for ${platform}, when it is told to`, async (t) => {
    if (!has(t, 'npm')) return
    const project = new Project(registry)
    await downloads()
    project.add(MAIN, `--os=${os}`, `--cpu=${cpu}`, ...(libc ? [`--libc=${libc}`] : []))
    await assertArrived(project, [{ name }])
  })
}

test('npm ci installs the same from the lock file, which knows all platforms', async (t) => {
  if (!has(t, 'npm')) return
  const first = new Project(registry)
  first.add(MAIN)
  const lock = first.read('package-lock.json')
  const locked = Object.keys(JSON.parse(lock).packages).filter((key) => key !== '')
  assert.deepEqual(
    locked.sort(),
    [MAIN, ...PLATFORMS.map(({ name }) => name)].map((each) => `node_modules/${each}`).sort(),
  )

  const second = new Project(registry)
  second.write('package.json', first.read('package.json'))
  second.write('package-lock.json', lock)
  await downloads()
  second.tool('npm', 'ci')
  await assertArrived(second, FITTING)
  assertRequired(second)
  assert.equal(second.read('package-lock.json'), lock)
})

test('without its binary (--omit=optional) it fails with an error that names the package that is missing', async (t) => {
  if (!has(t, 'npm')) return
  const project = new Project(registry)
  await downloads()
  project.add(MAIN, '--omit=optional')
  await assertArrived(project, [])
  const load = `try { require('${MAIN}') } catch (error) { console.log(error instanceof Error, error.message) }`
  const { status, output } = project.node('-e', load)
  assert.equal(status, 0, output)
  assert.match(output, /^true /)
  assert.match(output, new RegExp(`${FITTING[0].name}\\b`))
})

test('npm installs the drop-in in the place of proper-lockfile, for every package that depends on that', async (t) => {
  if (!has(t, 'npm')) return
  const project = new Project(registry)
  project.add(`proper-lockfile@npm:${DROP_IN}`)
  const use = `const lockfile = require('proper-lockfile')
    const release = lockfile.lockSync('package.json')
    console.log(lockfile.checkSync('package.json'), lockfile === require('${MAIN}/proper-lockfile'))
    release()
    console.log(lockfile.checkSync('package.json'))`
  assert.deepEqual(project.node('-e', use), { status: 0, output: 'true true\nfalse\n' })
})
