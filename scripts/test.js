'use strict'

// `npm test`: installs what is missing, builds, and runs all tests of types, Rust and JavaScript.
// `npm test -- types|core|loom|node|paced|postgres`: one part of them. LOCKET_REQUIRE_ALL=1: a test that would be skipped fails.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { prepare, root, run } = require('./prepare.js')
const { preparePython } = require('./python.js')

/**
 * A wait that is still pending keeps a file of failed tests alive: it is ended then, in milliseconds. Many times as long as
 * any file takes, since a busy machine takes many times as long.
 */
const FILE_LIMIT = 900_000

/** How many files run at a time: one more than there are processors, since most of it is waiting for other processes. */
const FILES_AT_ONCE = os.availableParallelism() + 1

const PARTS = {
  types() {
    const projects = ['__test__/types', '__test__/types/dom', 'packages/postgres/test/types']
    for (const project of projects) run('npx', ['tsc', '-p', project])
  },
  core() {
    run('cargo', ['test', '--quiet', '--locked', '-p', 'locket'])
  },
  /** Every interleaving of small cases. Takes a target folder of its own: its flags rebuild everything. */
  loom() {
    run('cargo', ['test', '--quiet', '--locked', '--release', '-p', 'locket', '--lib'], {
      RUSTFLAGS: `${process.env.RUSTFLAGS ?? ''} --cfg loom`,
      CARGO_TARGET_DIR: path.join(root, 'target/loom'),
    })
  },
  node() {
    const obstacle = preparePython()
    if (obstacle && process.env.LOCKET_REQUIRE_ALL === '1') {
      console.error(`LOCKET_REQUIRE_ALL: ${obstacle}`)
      process.exit(1)
    }
    runNode(testsIn('__test__'))
  },
  /** What depends on how threads wait, again with the way that is taken where nobody can wait in the kernel. */
  paced() {
    const subjects = ['api/abort', 'api/fairness', 'api/paths', 'api/queue', 'api/release', 'api/run', 'api/timeout']
    const others = ['interop/flock', 'platform/no-threads', 'process/many-files']
    const files = [...subjects, ...others].map((name) => `__test__/${name}.test.js`)
    runNode(files, { NAPI_RS_NATIVE_LIBRARY_PATH: buildPaced() })
  },
  /** The package @locket/postgres, at servers that the tests start. */
  postgres() {
    const { obstacle } = require('../packages/postgres/test/support/server.js')
    if (obstacle === undefined) runNode(testsIn('packages/postgres/test'))
    else console.log(`Skipped: ${obstacle}`)
  },
}

/** Builds an addon whose waits are paced, without optimising it. Returns its path. */
function buildPaced() {
  const folder = path.join(root, 'target/paced')
  const output = ['--platform', '--no-js', '--output-dir', folder, '--dts', 'native.d.ts']
  run('npx', ['napi', 'build', ...output, '--features', 'paced', '--', '--locked'])
  const name = fs.readdirSync(folder).find((entry) => entry.endsWith('.node'))
  return path.join(folder, name)
}

/** What has a command of its own. */
const ELSEWHERE = [
  '__test__/bundlers',
  '__test__/cluster',
  '__test__/registry',
  '__test__/runners',
  '__test__/runtimes',
]

/** The test files in a folder and those below it. */
function testsIn(folder) {
  return fs.readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`
    if (entry.isDirectory()) return entry.name.startsWith('.') || ELSEWHERE.includes(name) ? [] : testsIn(name)
    return /\.test\.m?js$/.test(name) ? [name] : []
  })
}

function runNode(files, env) {
  run(
    process.execPath,
    [
      ...['--expose-gc', '--test', '--test-reporter=spec'],
      ...[`--test-timeout=${FILE_LIMIT}`, `--test-concurrency=${FILES_AT_ONCE}`],
      ...files,
    ],
    env,
  )
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(name in PARTS))
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. There are: ${Object.keys(PARTS).join(', ')}`)
  process.exit(64)
}
prepare()
for (const name of wanted.length > 0 ? wanted : Object.keys(PARTS)) {
  console.log(`\n== ${name}`)
  PARTS[name]()
}
