'use strict'

// `npm run stress`: exclusion under storm. Processes, worker threads and tasks want a few locks, by every method, beside
// Python's libraries and flock(1). Some are killed, some terminated. Each thread logs what it asks for and what it gets,
// and a checker then decides whether the logs can be those of a lock. Exits with 0 if so, and with 1 otherwise.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')

const { prepare } = require('./prepare.js')
const { PYTHON, preparePython } = require('./python.js')
const { obstacleOf, PROTOCOLS } = require('./stress/protocols.js')
const { WAYS } = require('./stress/sabotage.js')

/** The options that take a number: the default, the least, the greatest, and what it is for. */
const NUMBERS = {
  seconds: [60, 1, 86_400, 'how long'],
  processes: [3, 1, 64, 'of Node'],
  workers: [1, 0, 64, 'worker threads in each, beside the main thread'],
  tasks: [16, 1, 10_000, 'in each thread, side by side'],
  files: [5, 1, 200, 'locks; of several the last one is deleted on release, and only Node uses it'],
  seed: [undefined, 0, 2 ** 32 - 1, 'of all choices; a new one by default'],
  patience: [30, 1, 3600, 'seconds that all processes have to end, before that counts as a hang'],
}

const USAGE = `npm run stress -- [options]
${Object.entries(NUMBERS)
  .map(
    ([name, [usual, , , what]]) => `  ${`--${name}=N`.padEnd(15)} ${what}${usual === undefined ? '' : ` (${usual})`}`,
  )
  .join('\n')}
  --sabotage=HOW  one process in which one lock in twenty is broken: ${WAYS.join(', ')}. It must be found out
  --protocol=HOW  how the lock is kept (flock): ${Object.keys(PROTOCOLS).join(', ')},
                  or all of these, one after the other, which share the seconds
  --defects       with a protocol whose peers remove locks by their path: they do. What comes of it is shown
  --postgres      the storm of @locket/postgres instead, over two hosts. Of the other options, it takes --seconds, --seed,
                  and --sabotage without a way`

/** Throws if the command line cannot be understood. */
function readOptions(args) {
  const string = { type: 'string' }
  const names = [...Object.keys(NUMBERS), 'sabotage', 'protocol']
  const flags = { defects: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } }
  const { values } = parseArgs({
    args,
    options: { ...Object.fromEntries(names.map((name) => [name, string])), ...flags },
  })
  if (values.sabotage !== undefined && !WAYS.includes(values.sabotage)) {
    throw new Error(`--sabotage takes one of ${WAYS.join(', ')}, not ${values.sabotage}`)
  }
  const protocols = ['flock', 'all', ...Object.keys(PROTOCOLS)]
  if (values.protocol !== undefined && !protocols.includes(values.protocol)) {
    throw new Error(`--protocol takes one of ${protocols.join(', ')}, not ${values.protocol}`)
  }
  if (values.protocol === 'flock') delete values.protocol
  if (values.defects && !PROTOCOLS[values.protocol]?.defect) {
    const those = Object.keys(PROTOCOLS).filter((name) => PROTOCOLS[name].defect)
    throw new Error(`--defects is for one of ${those.map((name) => `--protocol=${name}`).join(', ')}`)
  }
  for (const [name, [usual, least, greatest]] of Object.entries(NUMBERS)) {
    const text = values[name]
    values[name] = text === undefined ? (usual ?? Math.floor(Math.random() * greatest)) : Number(text || Number.NaN)
    if (values[name] >= least && values[name] <= greatest && Number.isInteger(values[name])) continue
    throw new Error(`--${name} takes a whole number from ${least} to ${greatest}, not ${text}`)
  }
  return values
}

/** How many bytes the logs may have where there is room. The storm ends then. */
const LOG_LIMIT = 4 * 2 ** 30

/** A folder in memory is used if it has so many bytes free. */
const ROOM = 2 ** 30

const roomIn = (folder) => {
  const { bavail, bsize } = fs.statfsSync(folder)
  return bavail * bsize
}

/** Where writing costs the least: a thread that writes to a disk makes fewer attempts. */
function parentFolder() {
  const memory = '/dev/shm'
  return fs.existsSync(memory) && roomIn(memory) >= ROOM ? memory : os.tmpdir()
}

const peersOf = (protocol, defects) => {
  const { peers, defective = [] } = PROTOCOLS[protocol]
  return defects ? [...peers, ...defective] : peers
}

/** The other programs that can take part. Prints which ones cannot, and why. */
function neighbours({ protocol, defects }) {
  // Their clock is ours on Linux. Elsewhere it may be another one.
  const python = process.platform === 'linux' ? preparePython() : 'this is not Linux'
  const obstacles = protocol
    ? Object.fromEntries(peersOf(protocol, defects).map((peer) => [peer, obstacleOf(peer, python)]))
    : { locket: python, filelock: python, flock: python }
  if ('flock' in obstacles && spawnSync('flock', ['--version']).status !== 0) obstacles.flock ??= 'it is not installed'
  return Object.keys(obstacles).filter((name) => {
    if (obstacles[name] === undefined) return true
    if (process.env.LOCKET_REQUIRE_ALL === '1') throw new Error(`LOCKET_REQUIRE_ALL: ${name}: ${obstacles[name]}`)
    console.log(`Without ${name}: ${obstacles[name]}`)
    return false
  })
}

async function run(options) {
  // Not at the top: they need the addon, which may have to be built.
  const { check } = require('./stress/checker.js')
  const { Counter } = require('./stress/files.js')
  const { logsIn } = require('./stress/journal.js')
  const { Storm } = require('./stress/storm.js')

  const parent = parentFolder()
  const others = neighbours(options)
  const folder = fs.mkdtempSync(path.join(parent, 'locket-stress-'))
  const limit = Math.min(LOG_LIMIT, roomIn(parent) / 2)
  const storm = new Storm(options, { folder, limit, python: PYTHON, neighbours: others })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => storm.stop(`by ${signal}`))

  const { seconds, processes, workers, tasks, files, seed, protocol, defects } = options
  console.log(
    `${protocol ? `${protocol}: ` : ''}${seconds} s: ${processes} processes × (1 + ${workers} workers) × ${tasks} tasks${others.map((name) => `, ${name}`).join('')};` +
      ` ${files} files; seed ${seed}\n`,
  )
  const took = await storm.run()
  const counters = Array.from({ length: files }, (_, file) => new Counter(folder, file).read())
  const report = check(logsIn(folder), counters)
  console.log([...describe(report, took), '', ...storm.remarks].join('\n').trimEnd())
  const kinds = Object.keys(report.violations)
  if (defects && kinds.length > 0 && kinds.every((kind) => OF_DEFECTS.includes(kind))) {
    console.log(`\nWhat is found here comes of a defect of the other program: ${PROTOCOLS[protocol].defect}.`)
  } else if (kinds.length > 0) {
    console.log(`\nThe logs are in ${folder}`)
    process.exitCode = 1
    return
  }
  fs.rmSync(folder, { recursive: true, force: true })
}

/** What is found where another program removes the locks of live holders: two hold, and the one that was robbed knows. */
const OF_DEFECTS = ['overlap', 'counter', 'failed']

const count = (number) => number.toLocaleString('en-US')
const NAMES = { node: '@locket/native', locket: 'locket (Python)', filelock: 'filelock (Python)', flock: 'flock(1)' }
const nameOf = (program) => NAMES[program] ?? program

/** A storm of each protocol by existence. */
async function runAll({ seconds, ...options }) {
  const protocols = Object.keys(PROTOCOLS)
  for (const protocol of protocols) {
    await run({ ...options, protocol, seconds: seconds / protocols.length })
    console.log()
  }
}

/** The report of the checker, for people. */
function describe(report, seconds) {
  const { acquires, rejections, endedByDeath, longestWait, shares, violations } = report
  const programs = Object.keys(acquires)
  const sum = (of, names = Object.keys(of)) => names.reduce((total, name) => total + of[name], 0)
  const all = programs.map((name) => sum(acquires[name], ['exclusive', 'shared']))
  const details = (of) =>
    Object.entries(of).flatMap(([name, number]) => (number > 0 ? [`${count(number)} ${name}`] : []))
  const rows = [
    ['seconds', seconds.toFixed(1)],
    ['acquires', count(sum(all)), `${count(Math.round(sum(all) / seconds))} a second`],
    ...programs.map((name, i) => [`  ${nameOf(name)}`, count(all[i]), ...details(acquires[name])]),
    ['rejections', count(sum(rejections)), ...details(rejections)],
    ['kills', count(report.kills)],
    ['terminations', count(report.terminations)],
    ['ended by death', count(sum(endedByDeath)), ...details(endedByDeath)],
    ['longest wait', `${(longestWait.ns / 1e6).toFixed(1)} ms`, longestWait.who],
    ['overlaps of shared', count(shares.any), `${count(shares.betweenProcesses)} between processes`],
    ['events', count(report.events)],
    ['violations', count(sum(Object.values(violations).map((each) => each.count)))],
  ]
  const lines = rows.map(
    ([name, value, ...more]) => `${name.padEnd(20)} ${value}${more.length > 0 ? `: ${more.join(', ')}` : ''}`,
  )
  for (const [kind, { count: number, described }] of Object.entries(violations)) {
    lines.push('', `${kind}: ${count(number)}`, ...described.map((text) => `  ${text}`))
    if (number > described.length) lines.push('  …')
  }
  return lines
}

/** Runs the storm of @locket/postgres, with the other words of the command line. */
function runPostgres(args) {
  prepare()
  return require('../packages/postgres/storm/index.js').main(args)
}

function main() {
  const args = process.argv.slice(2)
  if (args.includes('--postgres')) {
    return runPostgres(args.filter((arg) => arg !== '--postgres')).catch((error) => {
      console.error(error.message)
      process.exitCode = 1
    })
  }
  let options
  try {
    options = readOptions(args)
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`)
    process.exitCode = 64
    return undefined
  }
  if (options.help) return console.log(USAGE)
  prepare()
  return options.protocol === 'all' ? runAll(options) : run(options)
}

if (require.main === module) main()

module.exports = { readOptions }
