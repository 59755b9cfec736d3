'use strict'

// The command line of `npm run stress`.

const { parseArgs } = require('node:util')

const { WAYS } = require('./sabotage.js')

/** Of the options that take a number: what it is unless said, what it may be, and what it is for. */
const NUMBERS = {
  seconds: [60, 1, 86_400, 'how long'],
  processes: [3, 1, 64, 'of Node'],
  workers: [1, 0, 64, 'worker threads in each, beside the main thread'],
  tasks: [16, 1, 10_000, 'in each thread, side by side'],
  files: [5, 1, 200, 'locks; of several the last one is deleted on release, and only Node uses it'],
  seed: [undefined, 0, 2 ** 32 - 1, 'of all choices; a new one unless said'],
  patience: [30, 1, 3600, 'seconds that everybody has to come to an end, before it counts as a hang'],
}

const USAGE = `npm run stress -- [options]
${Object.entries(NUMBERS)
  .map(([name, [usual, , , what]]) => {
    const unlessSaid = usual === undefined ? '' : ` (${usual})`
    return `  ${`--${name}=N`.padEnd(15)} ${what}${unlessSaid}`
  })
  .join('\n')}
  --sabotage=HOW  one process in which one lock in twenty is broken: ${WAYS.join(', ')}. It must be found out`

/** What is to be done, or undefined if only help was asked for. Throws if it cannot be understood. */
function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      ...Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, { type: 'string' }])),
      sabotage: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) return undefined
  if (values.sabotage !== undefined && !WAYS.includes(values.sabotage)) {
    throw new Error(`--sabotage takes one of ${WAYS.join(', ')}, not ${values.sabotage}`)
  }
  const options = { sabotage: values.sabotage }
  for (const [name, [usual, least, greatest]] of Object.entries(NUMBERS)) {
    const value = values[name] === undefined ? usual : Number(values[name] || Number.NaN)
    if (value !== undefined && !(value >= least && value <= greatest && Number.isInteger(value))) {
      throw new Error(`--${name} takes a whole number from ${least} to ${greatest}, not ${values[name]}`)
    }
    options[name] = value ?? Math.floor(Math.random() * greatest)
  }
  return options
}

module.exports = { USAGE, readOptions }
