'use strict'

// The command line.

const path = require('node:path')
const { parseArgs } = require('node:util')

const { contestants } = require('./contestants/index.js')
const { pick } = require('./pick.js')
const { takesPart } = require('./rounds.js')
const { rows } = require('./rows/index.js')

const ROUNDS = { full: 5, quick: 1 }

const USAGE = `npm run bench -- [options]
  --quick               one round of small trials, in less than two minutes
  --rounds N            how many rounds: ${ROUNDS.full} unless said, ${ROUNDS.quick} with --quick
  --only ROW,…          these rows only
  --contestants NAME,…  these contestants only
  --no-setup            builds and installs nothing
  --out FOLDER          where to write results.json and charts/; a full run writes them into benchmark/ unless said

Rows: ${rows()
  .map(({ id }) => id)
  .join(', ')}
Contestants: ${contestants()
  .map(({ name }) => name)
  .join(', ')}`

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  only: { type: 'string' },
  contestants: { type: 'string' },
  'no-setup': { type: 'boolean', default: false },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
}

/** What is to be run, or undefined if only help was asked for. */
function readOptions(args) {
  const { values } = parseArgs({ args, options: OPTIONS })
  if (values.help) return undefined
  const { quick, rounds = quick ? ROUNDS.quick : ROUNDS.full } = values
  if (!(Number(rounds) >= 1)) throw new Error(`--rounds takes a number of 1 or more, not ${rounds}`)
  const chosenRows = chosen(rows(), values.only, 'id', 'row')
  const competes = (contestant) => chosenRows.some((row) => takesPart(contestant, row))
  const isFull = !quick && !values.only && !values.contestants
  return {
    command: ['npm run bench', ...args].join(' ').replace('bench ', 'bench -- '),
    quick,
    rounds: Math.floor(rounds),
    rows: chosenRows,
    contestants: chosen(contestants(), values.contestants, 'name', 'contestant').filter(competes),
    setup: !values['no-setup'],
    out: values.out === undefined ? isFull && __dirname : path.resolve(values.out),
  }
}

/** Those of `all` whose `key` is on a list with commas; all of them without a list. */
function chosen(all, list, key, what) {
  if (list === undefined) return all
  const wanted = list.split(',').map((value) => pick(all, key, value.trim(), what))
  return all.filter((each) => wanted.includes(each))
}

module.exports = { readOptions, USAGE }
