'use strict'

// Runs the tests of the API in a runtime: the same files as `npm test`, with the package as users install it. Each file is
// a process of its own, so a crash or a hang is a failure of that one alone.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { root } = require('../prepare.js')
const { LIMITS } = require('./limits.js')

/** Those with the files that take longest come first: at the end, none is waited for alone. */
const FOLDERS = ['process', 'threads', 'runtimes', 'api']

/**
 * Files that are not run: they take long, or need all descriptors of their process for themselves, or look at the insides and
 * the system calls of Node.
 */
const NOT_RUN = [
  'api/fuzz.test.js',
  'api/lost.test.js',
  'api/nested-runs.test.js',
  'process/death.test.js',
  'process/traces.test.js',
  'process/vm.test.js',
  'threads/death.test.js',
  'threads/reload.test.js',
]

/** What the tests need of this clone's packages. */
const PACKAGES = ['fast-check', 'pure-rand']

const PRELOAD = 'scripts/runtimes/preload.cjs'

/** How long a file may take, in milliseconds: several times as long as any takes in qemu on a busy machine. */
const LIMIT = 1_800_000
const WINDOWS = process.platform === 'win32'

/** The processes that run now. None outlives this one. */
const running = new Set()
process.on('exit', () => running.forEach(kill))

/** Kills a process and, where there are process groups, all that it has started. */
function kill(child) {
  try {
    if (WINDOWS) child.kill('SIGKILL')
    else process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/**
 * Returns an empty project with the package, which `install` installs into its first argument, and the tests in it. The
 * second argument is a folder for what `install` needs. All of it is removed when this process ends.
 */
function makeProject(install) {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'locket-runtimes-')))
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
  for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15 })) {
    process.once(signal, () => process.exit(128 + number))
  }
  const project = path.join(folder, 'project')
  fs.mkdirSync(project)
  install(project, folder)
  const modules = path.join(project, 'node_modules')
  for (const name of PACKAGES) {
    fs.cpSync(path.join(root, 'node_modules', name), path.join(modules, name), { recursive: true })
  }
  const home = path.join(modules, '@locket/native')
  // Some tests are of what is in the bundle.
  for (const name of ['__test__', 'lib', PRELOAD])
    fs.cpSync(path.join(root, name), path.join(home, name), { recursive: true })
  return home
}

/** The arguments with which a runtime runs a file of tests and writes what has come of them to `report`, as JUnit does. */
const ARGUMENTS = {
  node: (report) => ['--expose-gc', '--test-reporter=junit', `--test-reporter-destination=${report}`],
  bun: (report) => ['test', '--timeout=120000', '--reporter=junit', `--reporter-outfile=${report}`],
  deno: (report) => [
    ...['test', '--allow-all', '--no-check', '--v8-flags=--expose-gc', `--preload=./${PRELOAD}`],
    `--junit-path=${report}`,
  ],
}

/** Runs one file, and says what has come of it. Resolves to the names of its tests, and to the failures. */
async function runFile(runtime, home, file) {
  const start = performance.now()
  const folder = fs.mkdtempSync(path.join(home, 'report-'))
  const [report, printed] = ['report.xml', 'printed'].map((name) => path.join(folder, name))
  const output = fs.openSync(printed, 'w')
  const { NODE_OPTIONS, NAPI_RS_NATIVE_LIBRARY_PATH, FORCE_COLOR, ...env } = process.env
  const [program, ...before] = runtime.command
  const child = spawn(program, [...before, ...ARGUMENTS[runtime.kind](path.relative(home, report)), `./${file}`], {
    cwd: home,
    detached: !WINDOWS,
    env: { ...env, NO_COLOR: '1' },
    stdio: ['ignore', output, output],
  })
  fs.closeSync(output)
  running.add(child)
  const limit = setTimeout(kill, LIMIT, child)
  const end = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(signal ?? code))
  })
  kill(child)
  clearTimeout(limit)
  running.delete(child)
  const results = fs.existsSync(report) ? parse(fs.readFileSync(report, 'utf8')) : []
  const text = fs.readFileSync(printed, 'utf8')
  fs.rmSync(folder, { recursive: true, force: true })
  const failures = results.filter(({ failure }) => failure)
  // Every failure is one of a test: otherwise the file has failed as a whole.
  if (end !== 0 && failures.length === 0) failures.push({ name: file, failure: `ended with ${end}\n${text}` })
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`  ${file}: ${results.length} tests, ${failures.length} failures, ${seconds} s`)
  return { file, names: results.map(({ name }) => name), failures }
}

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const decode = (text) => text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name) => ENTITIES[name])

/** The tests in a report of JUnit's form: their own names, and what is said of a failure. */
function parse(report) {
  const cases = report.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)
  return [...cases].flatMap(([, name, content = '']) => {
    const failure = /<(?:failure|error)\b([\s\S]*)/.exec(content)?.[1]
    // A test that fails because of those in it is reported beside them.
    if (failure && /test steps? failed|subtests? failed/.test(failure)) return []
    return [{ name: decode(name).split(' > ').at(-1), failure: failure && decode(failure) }]
  })
}

/** Runs all files in a runtime. Resolves to its limits, and to the failures that they do not explain. */
async function runTests(runtime, home) {
  console.log(`\n${runtime.name} ${runtime.version}`)
  const files = FOLDERS.flatMap((folder) => {
    const names = fs.readdirSync(path.join(home, '__test__', folder)).filter((name) => /\.test\.[cm]?js$/.test(name))
    return names.map((name) => `${folder}/${name}`).filter((name) => !NOT_RUN.includes(name))
  })
  const results = []
  const work = async () => {
    for (let file = files.shift(); file; file = files.shift())
      results.push(await runFile(runtime, home, `__test__/${file}`))
  }
  await Promise.all(Array.from({ length: os.availableParallelism() }, work))

  const limits = LIMITS.filter(({ on }) => on.test(`${runtime.within ?? ''}${titleOf(runtime)}`))
  const failures = results.flatMap((result) => result.failures.map((each) => ({ ...each, file: result.file })))
  const unknown = failures.filter(({ name }) => !limits.some(({ tests }) => tests.test(name)))
  const names = results.flatMap((result) => result.names)
  const known = failures.length - unknown.length
  // Every limit is of a test that there is.
  const stale = limits.filter(({ tests }) => !names.some((name) => tests.test(name)))
  for (const { tests } of stale) {
    unknown.push({ name: String(tests), file: 'scripts/runtimes/limits.js', failure: 'there is no such test' })
  }
  return { runtime, passed: names.length - failures.length, known, limits, unknown }
}

const titleOf = ({ kind, version }) => `${kind} ${version}`

/** Prints what has failed. Returns true if anything has that is not known. */
function report(results) {
  for (const { runtime, passed, known, limits, unknown } of results) {
    console.log(
      `${runtime.name} ${runtime.version}: ${passed} passed, ${known} known to fail, ${unknown.length} failed`,
    )
    for (const { text } of limits) if (text) console.log(`  ${text}`)
    for (const { name, file, failure } of unknown)
      console.log(`\n  ${file}: ${name}\n${failure.replace(/^/gm, '    ')}`)
  }
  return results.some(({ unknown }) => unknown.length > 0)
}

module.exports = { makeProject, report, runTests, titleOf }
