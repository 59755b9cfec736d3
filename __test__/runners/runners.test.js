'use strict'

// docs/test-runners.md: each test runner runs a project with the recipe of the page, and the package that users install.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, test } = require('node:test')

const { lockFile } = require('../..')
const { installInto, packAll } = require('../../scripts/packaging.js')
const { sectionsOf } = require('../docs/markdown.js')
const { outcomeOf } = require('../support/processes.js')

const TOOLS = path.join(__dirname, 'node_modules')
/** How long a run may take, in milliseconds. It takes seconds, if nothing keeps it from ending. */
const LIMIT = 120_000
/** How long a test in it may take: the defaults are for machines with nothing else to do. */
const PATIENCE = 60_000

/** The titles of the tests that have passed, and that have failed, as Jest and Vitest report them. */
function fromJson(report) {
  const tests = JSON.parse(report).testResults.flatMap(({ assertionResults }) => assertionResults)
  const titles = (status) => tests.filter((each) => each.status === status).map(({ title }) => title)
  return { passed: titles('passed'), failed: titles('failed') }
}

function fromMocha(report) {
  const { passes, failures } = JSON.parse(report)
  return { passed: passes.map(({ title }) => title), failed: failures.map(({ title }) => title) }
}

function fromTap(report) {
  const titles = (result) =>
    [...report.matchAll(new RegExp(`^ *${result} \\d+ - (.*)$`, 'gm'))].map(([, title]) => title)
  return { passed: titles('ok'), failed: titles('not ok') }
}

const JEST = {
  recipe: 'Jest',
  packages: ['@babel'],
  options: `--json --outputFile=report --testTimeout=${PATIENCE}`,
  atOnce: '--maxWorkers=2',
  // Runs all files in one process, and lists what may keep that from ending.
  alone: '--detectOpenHandles',
  read: fromJson,
  loadsAgain: true,
}

const VITEST = {
  recipe: 'Vitest',
  packages: ['vitest'],
  atOnce: '--maxWorkers=2',
  alone: '--maxWorkers=1',
  read: fromJson,
  loadsAgain: false,
}

const vitest = (pool) => ({
  ...VITEST,
  options: `--pool=${pool} --reporter=default --reporter=json --outputFile.json=report --testTimeout=${PATIENCE} --hookTimeout=${PATIENCE}`,
})

/** The compiler of `using`, where the runner has none. */
const TSX = { NODE_OPTIONS: '--import=tsx' }

/**
 * The ways to run tests: the `recipe` of the page and what its command gets, always, to run two files `atOnce`, and to run all
 * files `alone`, in one worker. `keeps`: what a file leaves held is still held in the next one.
 */
const RUNNERS = {
  'Jest 29': { ...JEST, program: 'jest-29/bin/jest.js', keeps: true },
  'Jest 30': { ...JEST, program: 'jest/bin/jest.js', keeps: true },
  'Vitest, threads': { ...vitest('threads'), keeps: false },
  'Vitest, forks': { ...vitest('forks'), keeps: false },
  'Vitest, vmThreads': { ...vitest('vmThreads'), keeps: true },
  'Vitest, vmForks': { ...vitest('vmForks'), keeps: true },
  Mocha: {
    recipe: 'Mocha',
    packages: ['mocha', '@sinonjs', 'tsx'],
    env: TSX,
    options: `--reporter=json --reporter-option=output=report --timeout=${PATIENCE}`,
    atOnce: '--parallel --jobs=2',
    alone: '',
    read: fromMocha,
    loadsAgain: true,
    keeps: true,
  },
  'node:test': {
    recipe: 'node:test',
    packages: ['tsx'],
    env: TSX,
    options: '--test-reporter=tap --test-reporter-destination=report',
    atOnce: '--test-concurrency=2',
    alone: '--test-concurrency=1',
    read: fromTap,
    loadsAgain: true,
    keeps: false,
  },
}

const ADAPTERS = { Jest: 'jest.js', Vitest: 'vitest.js', Mocha: 'mocha.js', 'node:test': 'node.js' }

/** Tests in project/ of which there are two copies. */
const COPIED = ['turns', 'leaves']

let folder

before(() => {
  folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'locket-runners-')))
  const installed = path.join(folder, 'installed')
  fs.mkdirSync(installed)
  installInto(installed, packAll(folder))
})

after(() => fs.rmSync(folder, { recursive: true, force: true }))

const PAGE = fs.readFileSync(path.join(__dirname, '../../docs/test-runners.md'), 'utf8')
const SECTIONS = sectionsOf('docs/test-runners.md')

/** Makes a project of a recipe, with the package, the runner and the tests. Returns its folder and its command. */
function makeProject({ recipe, packages, program }) {
  const project = fs.mkdtempSync(path.join(folder, 'project-'))
  const modules = path.join(project, 'node_modules')
  fs.cpSync(path.join(folder, 'installed/node_modules/@locket'), path.join(modules, '@locket'), { recursive: true })
  for (const name of packages) fs.symlinkSync(path.join(TOOLS, name), path.join(modules, name), 'junction')
  fs.mkdirSync(path.join(modules, '.bin'))
  const name = recipe.toLowerCase()
  const file = program === undefined ? path.join(TOOLS, '.bin', name) : path.join(TOOLS, program)
  if (fs.existsSync(file)) fs.symlinkSync(file, path.join(modules, '.bin', name))

  fs.writeFileSync(path.join(project, 'package.json'), '{ "private": true, "type": "module" }')
  const adapters = path.join(__dirname, 'adapters')
  fs.cpSync(path.join(adapters, 'babel.config.json'), path.join(project, 'babel.config.json'))
  fs.cpSync(path.join(adapters, 'without-cache.js'), path.join(project, 'without-cache.js'))
  fs.cpSync(path.join(adapters, ADAPTERS[recipe]), path.join(project, 'runner.js'))
  for (const each of fs.readdirSync(path.join(__dirname, 'project'))) {
    const [subject] = each.split('.')
    const copies = COPIED.includes(subject) ? [`${subject}-1`, `${subject}-2`] : [subject]
    for (const copy of copies) {
      fs.cpSync(path.join(__dirname, 'project', each), path.join(project, each.replace(subject, copy)))
    }
  }

  const heldLocks = SECTIONS.get('After a failed test').find(({ code }) => code.startsWith('// held-locks.js\n'))
  let command
  for (const { language, code } of [heldLocks, ...SECTIONS.get(recipe)]) {
    if (language === 'sh') command = code.trim()
    else fs.writeFileSync(path.join(project, /^\/\/ (\S+)\n/.exec(code)[1]), code)
  }
  return { project, command }
}

/** Runs tests to their end. Returns how the runner has ended, what it has said, and its report. */
function runTests(runner, way, files) {
  const { project, command } = makeProject(runner)
  const locks = path.join(project, 'locks')
  fs.mkdirSync(locks)
  const line = [command, runner.options, runner[way], ...files.map((file) => `${file}.test.ts`)].join(' ')
  const env = {
    ...process.env,
    ...runner.env,
    LOCKS: locks,
    LOADS_AGAIN: String(runner.loadsAgain),
    PATH: path.join(project, 'node_modules/.bin') + path.delimiter + process.env.PATH,
  }
  // This very file runs as a test.
  delete env.NODE_TEST_CONTEXT
  const { code, signal, stdout, stderr } = outcomeOf('sh', ['-ec', line], { cwd: project, env, timeout: LIMIT })
  const said = stdout + stderr
  assert.equal(signal, null, `${line} does not end:\n${said}`)
  const report = path.join(project, 'report')
  assert.ok(fs.existsSync(report), `${line} has failed:\n${said}`)
  return { code, said, locks, ...runner.read(fs.readFileSync(report, 'utf8')) }
}

for (const [name, runner] of Object.entries(RUNNERS)) {
  test(`${name}: two test files that run at once take turns by a lock`, async () => {
    const { code, said, locks, passed, failed } = runTests(runner, 'atOnce', ['turns-1', 'turns-2'])
    assert.deepEqual([code, failed], [0, []], said)
    const updates = passed.filter((title) => title.startsWith('update')).length
    assert.equal(Number(fs.readFileSync(path.join(locks, 'count'), 'utf8')), updates)
    assert.equal(updates, 60)
    assert.equal(await lockFile(path.join(locks, 'database.lock')).tryAcquire(), true)
  })

  test(`${name}: only those tests fail that have to, what they held is free, and the runner ends without a complaint`, async () => {
    const { code, said, locks, passed, failed } = runTests(runner, 'alone', ['cases', 'leaves-1', 'leaves-2'])
    const unexpected = [...passed.filter(mustFail), ...failed.filter((title) => !mustFail(title))]
    // TAP has a line for each file, too.
    assert.deepEqual(
      unexpected.filter((title) => !title.endsWith('.ts')),
      [],
      said,
    )
    // One of them when its time is over.
    assert.equal(fs.readFileSync(path.join(locks, 'failures')).length + 1, failed.filter(mustFail).length, said)
    assert.equal(failed.filter(mustFail).length, 9, said)
    assert.equal(passed.includes('nothing waits after the failure'), true)
    assert.notEqual(code, 0)
    assert.doesNotMatch(name === 'Jest 29' ? withoutCustomGc(said) : said, COMPLAINTS)
    const left = fs.readFileSync(path.join(locks, 'left.txt'), 'utf8')
    assert.equal(left, runner.keeps ? 'true\nfalse\n' : 'true\ntrue\n')
    for (const file of fs.readdirSync(locks).filter((each) => each.endsWith('.lock'))) {
      assert.equal(await lockFile(path.join(locks, file)).tryAcquire(), true, file)
    }
  })
}

const mustFail = (title) => title.startsWith('fails ')

/** What Jest 29 says, if all handles that it lists are those of napi-rs, which keep nothing alive. */
function withoutCustomGc(said) {
  const [, handle] = /● {2}(?!CustomGC$)(.*)$/m.exec(said) ?? []
  return handle === undefined ? said.replace(/^Jest has detected the following \d+ open handles?.*$/m, '') : said
}

/** What runners say of handles that are open, and of processes that do not end or that end badly. */
const COMPLAINTS =
  /open handle|did not exit|failed to exit|force exited|close timed out|Unhandled|terminated|crash|warning/i

test('each recipe of the page is in these tests', () => {
  const headings = [...PAGE.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading)
  assert.deepEqual(headings.sort(), Object.keys(ADAPTERS).sort())
})
