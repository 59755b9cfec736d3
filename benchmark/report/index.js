'use strict'

// What becomes of the figures: a table on the terminal; and after a full run results.json, the charts and the READMEs.
// `node benchmark/report` makes the charts and the READMEs anew from results.json, without measuring.

const fs = require('node:fs')
const path = require('node:path')

const { charts } = require('./charts.js')
const { toJson } = require('./json.js')
const { rewrite } = require('./readme.js')
const { summarise } = require('./statistics.js')
const { look, table } = require('./table.js')

const BENCHMARK = path.join(__dirname, '..')

/** READMEs with sections that show the results of the benchmark's own folder. */
const READMES = [path.join(BENCHMARK, 'README.md'), path.join(BENCHMARK, '../README.md')]

/** Prints summarised results. */
function print(results, stream = process.stdout) {
  stream.write(table(results, look(stream)))
}

/** Writes summarised results: results.json and charts/ in `folder`, and if that is the benchmark's own, the READMEs. */
function write(results, folder = BENCHMARK) {
  const chartFolder = path.join(folder, 'charts')
  // What is not drawn any more must go.
  fs.rmSync(chartFolder, { recursive: true, force: true })
  fs.mkdirSync(chartFolder, { recursive: true })
  fs.writeFileSync(path.join(folder, 'results.json'), toJson(results))
  for (const { id, svg } of charts(results)) {
    for (const [theme, text] of Object.entries(svg))
      fs.writeFileSync(path.join(chartFolder, `${id}-${theme}.svg`), text)
  }
  if (path.relative(folder, BENCHMARK) !== '') return
  for (const file of READMES) {
    const fromReadme = path.relative(path.dirname(file), chartFolder).split(path.sep).join('/')
    try {
      fs.writeFileSync(file, rewrite(fs.readFileSync(file, 'utf8'), results, fromReadme))
    } catch (cause) {
      throw new Error(`cannot write the figures to ${file}: ${cause.message}`, { cause })
    }
  }
}

module.exports = { print, summarise, write }

if (require.main === module) {
  const results = JSON.parse(fs.readFileSync(path.join(BENCHMARK, 'results.json'), 'utf8'))
  write(summarise(results))
}
