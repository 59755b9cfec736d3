'use strict'

// `npm run bench`: measures @locket/native and its peers side by side, and prints tables. A full run also writes
// results.json and charts/, which the README shows. See README.md beside this file.

const os = require('node:os')

const { prepare } = require('../scripts/prepare.js')
const { machine } = require('./machine.js')
const { readOptions, USAGE } = require('./options.js')
const { write } = require('./report/index.js')
const { summarise } = require('./report/statistics.js')
const { look, terminal } = require('./report/terminal.js')
const { measure, planOf, trialsIn } = require('./rounds.js')
const { Runner } = require('./runner.js')
const { setUp } = require('./setup.js')

async function main() {
  const options = readOptions(process.argv.slice(2))
  if (!options) return console.log(USAGE)
  prepare()
  const obstacles = await setUp(options.contestants)
  const runner = new Runner()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      runner.close()
      process.exit(128 + os.constants.signals[signal])
    })
  }
  const results = summarise(await run(options, obstacles, runner).finally(() => runner.close()))
  process.stdout.write(terminal(results, look(process.stdout)))
  if (options.out) await write(results, options.out)
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

  const able = contestants.filter((contestant) => !obstacles.has(contestant))
  const versions = Object.fromEntries(able.map(({ name, version }) => [name, version()]).filter(([, known]) => known))
  const measured = {
    date: new Date().toISOString(),
    command,
    rounds,
    quick,
    machine: machine(runner.folder),
    versions: { node: process.versions.node, ...versions },
  }
  const results = { measured, rows: [], curves: [] }
  for (const part of plan) (part.row.curve ? results.curves : results.rows).push(await measure(part, trial))
  return results
}

main().catch((error) => {
  console.error(error.message)
  process.exit(1)
})
