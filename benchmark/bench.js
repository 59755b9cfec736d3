'use strict'

// `npm run bench`: measures @locket/native and its peers side by side, and prints a table. A full run also writes
// results.json and charts/, which the README shows. See README.md beside this file.

const os = require('node:os')

const { prepare } = require('../scripts/prepare.js')
const { machine } = require('./machine.js')
const { readOptions, USAGE } = require('./options.js')
const { print, summarise, write } = require('./report/index.js')
const { measure, planOf, trialsIn } = require('./rounds.js')
const { Runner } = require('./runner.js')
const { setUp } = require('./setup.js')

async function main() {
  const options = readOptions(process.argv.slice(2))
  if (!options) return console.log(USAGE)
  const obstacles = options.setup ? setUpAll(options.contestants) : new Map()
  const runner = new Runner()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      runner.close()
      process.exit(128 + os.constants.signals[signal])
    })
  }
  const results = summarise(await run(options, obstacles, runner).finally(() => runner.close()))
  print(results, process.stdout)
  if (options.out) write(results, options.out)
}

/** Sets up the package and its peers. Returns what is in the way of contestants that cannot be set up. */
function setUpAll(contestants) {
  prepare()
  const found = contestants.map((contestant) => [contestant, setUp(contestant)])
  return new Map(found.filter(([, obstacle]) => obstacle))
}

/** Runs all trials. Resolves to the raw results. */
async function run({ command, quick, rounds, rows, contestants }, obstacles, runner) {
  const plan = planOf(rows, contestants, { quick, rounds }, obstacles)
  const total = trialsIn(plan)
  let count = 0
  async function trial({ row, contestant, x, round }) {
    const point = x === undefined ? '' : ` (${x} ${row.curve.x})`
    const label = `${++count}/${total}  ${row.id}${point}, round ${round}: ${contestant.name}`
    const result = await runner.run({ row, contestant, quick, x })
    console.error(result.failed ? `${label}: ${result.failed}` : label)
    return result
  }

  const measured = {
    date: new Date().toISOString(),
    command,
    rounds,
    quick,
    machine: machine(runner.folder),
    versions: versionsOf(contestants.filter((contestant) => !obstacles.has(contestant))),
  }
  const results = { measured, rows: [], curves: [] }
  for (const part of plan) (part.row.curve ? results.curves : results.rows).push(await measure(part, trial))
  return results
}

function versionsOf(contestants) {
  const versions = contestants.map(({ name, version }) => [name, version()]).filter(([, version]) => version)
  return { node: process.versions.node, ...Object.fromEntries(versions) }
}

main().catch((error) => {
  console.error(error.message)
  process.exit(1)
})
