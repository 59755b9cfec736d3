'use strict'

// docs/bundlers.md: each of its recipes bundles a program with the packages that users install, and what comes of it locks.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { after, before, test } = require('node:test')

const { lockFile } = require('../..')
const { builtBinary, installInto, packAll } = require('../../scripts/packaging.js')
const { sectionsOf } = require('../docs/markdown.js')
const { temporaryPath } = require('../support/folders.js')
const { GOOD_END, outcomeOf, Talker } = require('../support/processes.js')
const { until } = require('../support/waiting.js')

const TOOLS = path.join(__dirname, 'node_modules')
/** How long a tool may take, in milliseconds. */
const LIMIT = 300_000

const BINARY = builtBinary()
/** Code of the page with this platform in place of the one that is written there. */
const here = (code) => code.replaceAll('linux-x64-gnu', BINARY.split('.')[1])

/**
 * The recipes, by their headings: the `program` that comes of each in dist/. It runs with the other files there, or with
 * those that are `beside` it alone; and with the packages only if they are to be `installed`.
 */
const RECIPES = {
  'esbuild: leave it out': { program: 'app.js', installed: true },
  'esbuild: with the binary': { program: 'app.js' },
  'esbuild: with the binary, as an ES module': { program: 'app.mjs' },
  'webpack: leave it out': { program: 'app.js', installed: true },
  'webpack: with the binary': { program: 'app.js' },
  Rollup: { program: 'app.mjs', installed: true },
  Vite: { program: 'app.mjs', installed: true },
  'Vite: all others bundled': { program: 'app.mjs', installed: true },
  ncc: { program: 'index.mjs' },
  nft: { program: 'app.mjs' },
  'Executable: with the binary beside it': { program: 'app', beside: [BINARY] },
  'Executable: with the binary in it': { program: 'app', beside: [] },
  Others: { program: 'app.js', beside: [BINARY] },
}

/** The one that takes minutes, and 340 MB of packages. */
const NEXT = 'Next.js'

let folder

before(() => {
  folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'locket-bundlers-')))
  const project = path.join(folder, 'installed')
  fs.mkdirSync(project)
  installInto(project, packAll(folder))
})

after(() => fs.rmSync(folder, { recursive: true, force: true }))

/** Makes an empty folder, far from any packages. */
function makeFolder() {
  const parent = fs.mkdtempSync(path.join(folder, 'empty-'))
  const made = path.join(parent, 'app')
  fs.mkdirSync(made)
  return made
}

/** Puts the packages of the tarballs into a folder. */
function installPackages(into) {
  const place = 'node_modules/@locket'
  fs.cpSync(path.join(folder, 'installed', place), path.join(into, place), { recursive: true })
}

/** The recipes of the page, by their headings. */
const SECTIONS = sectionsOf('docs/bundlers.md')

/** Does in a project what a section says: writes its files, and runs its commands. Returns what these print. */
function follow(heading, project, bin) {
  let printed = ''
  for (const { language, code } of SECTIONS.get(heading)) {
    if (language === 'sh') {
      const env = { ...process.env, PATH: bin + path.delimiter + process.env.PATH, NEXT_TELEMETRY_DISABLED: '1' }
      const { code: status, ...streams } = outcomeOf('sh', ['-ec', here(code)], { cwd: project, env, timeout: LIMIT })
      printed += streams.stdout + streams.stderr
      assert.equal(status, 0, printed)
    } else {
      const name = language === 'json' ? 'sea.json' : /^\/\/ (\S+)\n/.exec(code)[1]
      fs.writeFileSync(path.join(project, name), here(code))
    }
  }
  return printed
}

/** A project with the program, the packages and the tools. */
function makeProject() {
  const project = makeFolder()
  installPackages(project)
  for (const name of fs.readdirSync(TOOLS).filter((each) => !each.startsWith('.package'))) {
    fs.symlinkSync(path.join(TOOLS, name), path.join(project, 'node_modules', name), 'junction')
  }
  fs.copyFileSync(path.join(__dirname, 'app.mjs'), path.join(project, 'app.mjs'))
  return project
}

/** Starts what is in a folder, with the lock of `file` as its task. */
function start(t, program, file) {
  const isScript = path.extname(program) !== ''
  const command = isScript ? process.execPath : program
  return new Talker(t, command, [...(isScript ? [program] : []), file], { cwd: path.dirname(program) })
}

for (const [heading, { program, beside, installed }] of Object.entries(RECIPES)) {
  test(`${heading}: nothing is warned of, and the bundle excludes other processes`, async (t) => {
    const project = makeProject()
    const printed = follow(heading, project, path.join(TOOLS, '.bin'))
    // postject does not know a section that Node has.
    assert.doesNotMatch(printed.replaceAll(/^warning: Can't find string offset .*$/gm, ''), /warn/i)

    const dist = path.join(project, 'dist')
    const deployed = makeFolder()
    const wanted = beside ? [program, ...beside] : fs.readdirSync(dist)
    for (const name of wanted) fs.cpSync(path.join(dist, name), path.join(deployed, name), { recursive: true })
    if (installed) installPackages(deployed)
    fs.rmSync(project, { recursive: true })

    const file = temporaryPath(t)
    const holder = start(t, path.join(deployed, program), file)
    assert.equal(await holder.line(), 'acquired')
    const other = start(t, path.join(deployed, program), file)
    assert.equal(await other.line(), 'ERR_LOCK_TIMEOUT')
    assert.deepEqual(await other.ended(), GOOD_END)
    assert.equal(await lockFile(file).tryAcquire(), false)
    holder.end()
    assert.deepEqual(await holder.ended(), GOOD_END)
    assert.equal(await lockFile(file).tryAcquire(), true)
  })
}

/** Resolves to a port that is free. */
async function freePort() {
  const server = net.createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

const all = process.env.LOCKET_ALL_BUNDLERS === '1'

for (const option of ['', ' --webpack']) {
  const skip = !all && 'only with LOCKET_ALL_BUNDLERS=1'
  test(`${NEXT}, next build${option}: a server that needs nothing else excludes other processes`, {
    skip,
  }, async (t) => {
    const project = makeFolder()
    fs.cpSync(path.join(__dirname, 'next'), project, { recursive: true })
    const install = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    assert.equal(outcomeOf('npm', install, { cwd: project, timeout: LIMIT }).code, 0)
    installPackages(project)
    const section = SECTIONS.get(NEXT)
    const build = section.find(({ language }) => language === 'sh')
    build.code = `next build${option}\n`
    follow(NEXT, project, path.join(project, 'node_modules/.bin'))

    const deployed = makeFolder()
    fs.cpSync(path.join(project, '.next/standalone'), deployed, { recursive: true, verbatimSymlinks: true })
    fs.rmSync(project, { recursive: true })
    const file = temporaryPath(t)
    const port = await freePort()
    const env = { ...process.env, LOCK_FILE: file, HOSTNAME: '127.0.0.1', PORT: `${port}` }
    new Talker(t, process.execPath, ['server.js'], { cwd: deployed, env })
    const url = `http://127.0.0.1:${port}/lock`
    const own = await lockFile(file).acquire()
    let answer
    await until(async () => {
      answer = await fetch(url).catch(() => undefined)
      return answer !== undefined
    }, 'a server')
    assert.equal(await answer.text(), 'false')
    own.release()
    assert.equal(await (await fetch(url)).text(), 'true')
    assert.equal(await lockFile(file).tryAcquire(), false)
  })
}

test('every recipe of the page is in these tests', () => {
  assert.deepEqual([...SECTIONS.keys()].sort(), [...Object.keys(RECIPES), NEXT].sort())
})
