'use strict'

// The command line.

const path = require('node:path')
const { parseArgs } = require('node:util')

const { contestants } = require('./contestants/index.js')
const { takesPart } = require('./rounds.js')
const { rows } = require('./rows/index.js')

const USAGE = `npm run bench -- [options]
  --quick               one round of small trials, in a few minutes
  --rounds N            number of rounds: 5 by default, 1 with --quick
  --only ROW,…          these rows only
  --contestants NAME,…  these contestants only
  --out FOLDER          where to write results.json and charts/; a full run writes them into benchmark/ by default

Rows: ${rows.map(({ id }) => id).join(', ')}
Contestants: ${contestants()
  .map(({ name }) => name)
  .join(', ')}`

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  only: { type: 'string' },
  contestants: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
}

/** What to run, or undefined if only help was asked for. */
function readOptions(args) {
  const { values } = parseArgs({ args, options: OPTIONS })
  if (values.help) return undefined
  const { quick, rounds = quick ? 1 : 5 } = values
  if (!(Number(rounds) >= 1)) throw new Error(`--rounds takes a number of 1 or more, not ${rounds}`)
  const chosenRows = chosen(rows, values.only, 'id', 'row')
  const competes = (contestant) => chosenRows.some((row) => takesPart(contestant, row))
  const isFull = !quick && !values.only && !values.contestants
  return {
    command: ['npm run bench', ...args].join(' ').replace('bench ', 'bench -- '),
    quick,
    rounds: Math.floor(rounds),
    rows: chosenRows,
    contestants: chosen(contestants(), values.contestants, 'name', 'contestant').filter(competes),
    out: values.out === undefined ? isFull && __dirname : path.resolve(values.out),
  }
}

/** Those of `all` whose `key` is on a list with commas; all of them without a list. */
function chosen(all, list, key, what) {
  if (list === undefined) return all
  const known = all.map((each) => each[key])
  const wanted = list.split(',').map((value) => value.trim())
  const unknown = wanted.find((value) => !known.includes(value))
  if (unknown !== undefined) throw new Error(`no ${what} is called ${unknown}; there are: ${known.join(', ')}`)
  return all.filter((each) => wanted.includes(each[key]))
}

module.exports = { readOptions, USAGE }
