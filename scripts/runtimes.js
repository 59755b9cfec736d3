'use strict'

// `npm run test:runtimes`: what the package does (__test__/runtimes/behaviours.cjs), shown on every runtime: the package
// as users install it, and each behaviour in a process of its own. Exit code 1 if something fails that should work.
// `npm run test:runtimes -- node@24 bun`: on some of them. `-- --docs`: the table of docs/runtimes.md is written, too.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { installInto, packAll } = require('./packaging.js')
const { prepare, root } = require('./prepare.js')
const { install, RUNTIMES } = require('./runtimes/install.js')
const { show } = require('./runtimes/show.js')
const { asMarkdown, asText } = require('./runtimes/table.js')

/**
 * What a runtime cannot do, and why. It is tried all the same: if it fails in another way than `sign` says, that is a
 * failure, and if it works, the table says so. `runtimes` has the versions that it was seen with last.
 */
const LIMITS = [
  {
    behaviour: '`using` and `await using`',
    runtimes: { 'node@20': '20.20.2', 'node@22': '22.23.3' },
    sign: /SyntaxError|Unexpected identifier/,
    reason: 'It does not know the syntax yet; compilers translate it, and the methods that it calls are there.',
  },
  {
    behaviour: 'a worker is terminated in acquireSync(): its wait ends',
    runtimes: { deno: '2.9.6' },
    sign: /the wait has outlived the worker/,
    reason:
      'terminate() does not wait for a thread that is blocked, and cannot end it. The thread stays in line until its turn comes, and then gives the lock up at once.',
  },
  {
    behaviour: 'few permissions are enough',
    runtimes: { bun: '1.4.5' },
    sign: /no permissions to restrict/,
    reason: 'It has no permissions that could be withheld.',
  },
]

const DOCS = path.join(root, 'docs/runtimes.md')
const DOCS_PART = /(?<=<!-- runtimes -->\n)[\s\S]*(?=<!-- \/runtimes -->)/

const limitOf = (behaviour, runtime) =>
  LIMITS.find((limit) => limit.behaviour === behaviour && runtime.name in limit.runtimes)

/** What it means for a runtime that a behaviour was shown, or was not. */
function verdict(behaviour, runtime, { failure, output }) {
  const limit = limitOf(behaviour, runtime)
  if (failure === undefined) return limit ? { kind: 'works now', limit } : { kind: 'passed' }
  if (limit?.sign.test(output)) return { kind: 'cannot', limit }
  return { kind: 'failed', failure, output }
}

/** Shows all behaviours on one runtime. Resolves to their verdicts, in the order of their names. */
async function showAll(names, runtime, project) {
  const verdicts = []
  for (const name of names) verdicts.push(verdict(name, runtime, await show(name, runtime, project)))
  const count = (kind) => verdicts.filter((each) => each.kind === kind).length
  const counts = ['passed', 'cannot', 'works now', 'failed'].map((kind) => [kind, count(kind)]).filter(([, n]) => n > 0)
  console.log(`${runtime.name} ${runtime.version}: ${counts.map(([kind, n]) => `${n} ${kind}`).join(', ')}`)
  return verdicts
}

/** The names of runtimes and the flags that were asked for. Ends this process if there is no such thing. */
function parseArguments() {
  const docs = process.argv.includes('--docs')
  const wanted = process.argv.slice(2).filter((argument) => argument !== '--docs')
  const unknown = wanted.filter((name) => !(name in RUNTIMES))
  if (unknown.length > 0 || (docs && wanted.length > 0)) {
    const problem = unknown.length > 0 ? `Unknown: ${unknown.join(', ')}` : '--docs needs all runtimes'
    console.error(`${problem}. There are: ${Object.keys(RUNTIMES).join(', ')}`)
    process.exit(64)
  }
  return { docs, wanted: wanted.length > 0 ? wanted : Object.keys(RUNTIMES) }
}

/** An empty project in which the package and the behaviours are installed. It goes when this process ends. */
function makeProject() {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'locket-runtimes-')))
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
  const project = path.join(folder, 'project')
  fs.mkdirSync(project)
  installInto(project, packAll(folder))
  fs.cpSync(path.join(root, '__test__/runtimes'), path.join(project, 'runtimes'), { recursive: true })
  return project
}

function reportFailures(names, columns) {
  for (const { runtime, verdicts } of columns) {
    for (const [i, { kind, failure, output }] of verdicts.entries()) {
      if (kind === 'failed') console.log(`\n${runtime.name}: ${names[i]}: ${failure}\n${output.replace(/^/gm, '  ')}`)
    }
  }
}

async function main() {
  const { docs, wanted } = parseArguments()
  prepare()
  const runtimes = install(wanted)
  const project = makeProject()
  for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15 })) {
    process.once(signal, () => process.exit(128 + number))
  }

  // Not at the top: it loads the package, which may have been built only now.
  const names = Object.keys(require('../__test__/runtimes/behaviours.cjs').behaviours)
  const columns = []
  for (const runtime of runtimes) columns.push({ runtime, verdicts: await showAll(names, runtime, project) })

  console.log(`\n${asText(names, columns)}`)
  reportFailures(names, columns)
  if (docs) fs.writeFileSync(DOCS, fs.readFileSync(DOCS, 'utf8').replace(DOCS_PART, asMarkdown(names, columns)))
  process.exitCode = columns.some(({ verdicts }) => verdicts.some(({ kind }) => kind === 'failed')) ? 1 : 0
}

main()
