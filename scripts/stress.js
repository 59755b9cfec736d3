'use strict'

// `npm run stress`: exclusion under storm. Processes, worker threads and tasks want a few locks, in all forms that there
// are, beside Python's libraries and flock(1); some are killed, some terminated. Each thread logs what it has asked for and
// what it has got, and a checker then says whether the logs can be those of a lock. Exit code 0 if so, else 1.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const { prepare } = require('./prepare.js')
const { PYTHON, preparePython } = require('./python.js')
const { USAGE, readOptions } = require('./stress/options.js')

const WRONG_USAGE = 64

/** What the logs may take, in bytes, where there is room: one and a half hours, or so. */
const LOG_LIMIT = 4 * 2 ** 30

/** A folder in memory needs so much room, in bytes. */
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

/** The other programs that can take part. Says which ones cannot, and why. */
function neighbours() {
  const all = { locket: undefined, filelock: undefined, flock: undefined }
  // Their clock is ours on Linux; elsewhere it may be another one.
  const obstacle = process.platform === 'linux' ? preparePython() : 'this is not Linux'
  for (const name in all) all[name] = obstacle
  if (spawnSync('flock', ['--version']).status !== 0) all.flock ??= 'it is not installed'
  for (const [name, why] of Object.entries(all)) {
    if (why === undefined) continue
    if (process.env.LOCKET_REQUIRE_ALL === '1') throw new Error(`LOCKET_REQUIRE_ALL: ${name}: ${why}`)
    console.log(`Without ${name}: ${why}`)
  }
  return Object.keys(all).filter((name) => all[name] === undefined)
}

async function run(options) {
  // Not at the top: they need the addon, which may have to be built.
  const { check } = require('./stress/checker.js')
  const { Counter } = require('./stress/counter.js')
  const { counterOf } = require('./stress/field.js')
  const { logsIn } = require('./stress/journal.js')
  const { Storm } = require('./stress/storm.js')
  const { describe } = require('./stress/text.js')

  const parent = parentFolder()
  const others = neighbours()
  const folder = fs.mkdtempSync(path.join(parent, 'locket-stress-'))
  const limit = Math.min(LOG_LIMIT, roomIn(parent) / 2)
  const storm = new Storm(options, { folder, limit, python: PYTHON, neighbours: others })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => storm.stop(`by ${signal}`))

  const { seconds, processes, workers, tasks, files, seed } = options
  console.log(
    `${seconds} s: ${processes} processes × (1 + ${workers} workers) × ${tasks} tasks${others.map((name) => `, ${name}`).join('')};` +
      ` ${files} files; seed ${seed}\n`,
  )
  const { seconds: took } = await storm.run()
  const counters = Array.from({ length: files }, (_, file) => new Counter(counterOf(folder, file)).read())
  const report = check(logsIn(folder), { counters })
  console.log(describe(report, { seconds: took, remarks: storm.remarks }).join('\n'))
  if (report.violationCount > 0) {
    console.log(`\nThe logs are in ${folder}`)
    process.exitCode = 1
    return
  }
  fs.rmSync(folder, { recursive: true, force: true })
}

function main() {
  let options
  try {
    options = readOptions(process.argv.slice(2))
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`)
    process.exitCode = WRONG_USAGE
    return undefined
  }
  if (options === undefined) return console.log(USAGE)
  prepare()
  return run(options)
}

main()
