'use strict'

// `npm run test:cluster`: the lock between two clients of a file system that is served over a network. The servers, the clients and
// the network between them are on this machine, in namespaces (or in virtual machines) that vanish with the tests.
// LOCKET_CLUSTER names the file systems. A file system that this machine cannot serve is skipped, with a line that says why; with
// LOCKET_REQUIRE_ALL=1 that is a failure.

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { parseArgs } = require('node:util')

const { prepare, root } = require('./prepare.js')

const TEST = path.join(root, '__test__/cluster/cluster.test.js')
const SYSTEMS = path.join(root, '__test__/cluster/file-systems')
const FOLDER = path.join(root, 'target/cluster')

/** What "all" stands for. CephFS is not part of it: its packages take 300 MB. */
const ALL = ['moosefs', 'nfs', 'smb', 'glusterfs']
const KNOWN = [...ALL, 'cephfs']

const USAGE = `npm run test:cluster [-- options]
  --quick         leaves out the tests that lose a client, which take minutes
  --help
LOCKET_CLUSTER    names the file systems, with commas between them (moosefs): ${KNOWN.join(', ')};
                  or all, which is all but cephfs`

/** The PATH with the folders of servers, which that of a user may lack. */
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`

/** Runs a program with a network, mounts and process IDs of its own, which end with it. It ends with this process. */
const NAMESPACES = [
  ...['setpriv', '--pdeathsig', 'KILL'],
  ...['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'],
]

const succeeds = ([command, ...args]) => spawnSync(command, args, { env: { ...process.env, PATH } }).status === 0

const isInstalled = (program) => PATH.split(':').some((folder) => fs.existsSync(path.join(folder, program)))

/** Why a file system cannot be tested here; undefined if it can. */
function obstacleOf({ programs, devices, makeImage }) {
  if (process.platform !== 'linux') return 'only on Linux'
  if (process.getuid() !== 0) return 'only as root'
  if (!succeeds([...NAMESPACES, 'true'])) return 'namespaces cannot be made here'
  const device = devices.find((each) => !fs.existsSync(each))
  if (device) return `there is no ${device}`
  const needed = { ip: 'iproute2', ...programs }
  const missing = Object.keys(needed).filter((program) => !isInstalled(program))
  if (missing.length > 0) return `not installed: ${[...new Set(missing.map((program) => needed[program]))].join(' ')}`
  return makeImage?.()
}

/** Runs the tests on one file system. Resolves to the outcome of each test, and whether all passed. */
async function run(name, flags) {
  const results = path.join(FOLDER, `${name}.json`)
  fs.rmSync(results, { force: true })
  const args = ['--test-force-exit', '--test-reporter=spec', TEST, name, results, ...flags]
  const [command, ...rest] = [...NAMESPACES, process.execPath, ...args]
  const child = spawn(command, rest, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, PATH } })
  const stop = () => {
    child.kill('SIGKILL')
    process.exit(1)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, stop)
  const code = await new Promise((resolve) => child.once('exit', resolve))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, stop)
  return { passed: code === 0, outcomes: fs.existsSync(results) ? JSON.parse(fs.readFileSync(results, 'utf8')) : {} }
}

/** A table of Markdown: test × file system. */
function tableOf(runs) {
  const names = Object.keys(runs)
  const tests = [...new Set(names.flatMap((name) => Object.keys(runs[name].outcomes)))]
  const cell = ({ outcome, figure } = { outcome: 'not run' }) => figure ?? outcome
  const rows = [
    ['', ...names],
    ['---', ...names.map(() => '---')],
    ...tests.map((test) => [test, ...names.map((name) => cell(runs[name].outcomes[test]))]),
  ]
  return rows.map((row) => `| ${row.join(' | ')} |`).join('\n')
}

/** Ends this process with the exit code of a wrong use. */
function refuse(message) {
  console.error(message)
  process.exit(64)
}

function readOptions() {
  try {
    return parseArgs({ options: { quick: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } }).values
  } catch (error) {
    return refuse(`${error.message}\n\n${USAGE}`)
  }
}

async function main() {
  const { quick, help } = readOptions()
  if (help) return console.log(USAGE)
  const wanted = process.env.LOCKET_CLUSTER || 'moosefs'
  const names = wanted === 'all' ? ALL : wanted.split(',')
  const unknown = names.filter((name) => !KNOWN.includes(name))
  if (unknown.length > 0) refuse(`LOCKET_CLUSTER: unknown: ${unknown.join(', ')}. There are: all, ${KNOWN.join(', ')}`)
  prepare()
  fs.mkdirSync(FOLDER, { recursive: true })
  const runs = {}
  for (const name of names) {
    const obstacle = obstacleOf(require(path.join(SYSTEMS, `${name}.js`)))
    if (obstacle === undefined) runs[name] = await run(name, quick ? ['--quick'] : [])
    else if (process.env.LOCKET_REQUIRE_ALL === '1') throw new Error(`LOCKET_REQUIRE_ALL: ${name}: ${obstacle}`)
    else console.log(`${name}: skipped: ${obstacle}`)
  }
  if (Object.keys(runs).length > 0) console.log(`\n${tableOf(runs)}`)
  if (Object.values(runs).some(({ passed }) => !passed)) process.exitCode = 1
}

main()
