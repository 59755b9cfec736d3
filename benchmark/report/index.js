'use strict'

// Writes the figures of a full run: results.json, the charts, and the sections of the README files.
// `node benchmark/report` makes the charts and the sections anew from results.json, without measuring.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const { installPackages } = require('../setup.js')
const { charts } = require('./charts.js')
const { rewrite } = require('./markdown.js')
const { summarise } = require('./statistics.js')

const BENCHMARK = path.join(__dirname, '..')

/** README files with sections that show the results of the benchmark's own folder. */
const READMES = [path.join(BENCHMARK, 'README.md'), path.join(BENCHMARK, '../README.md')]

/** JSON as the formatter of the project writes it: what fits on a line stays on one, so a round is a line. */
function toJson(results) {
  const biome = path.join(path.dirname(require.resolve('@biomejs/biome/package.json')), 'bin/biome')
  const args = [biome, 'format', '--stdin-file-path=results.json']
  const options = { cwd: BENCHMARK, input: JSON.stringify(results), encoding: 'utf8', maxBuffer: Infinity }
  const { status, stdout, stderr } = spawnSync(process.execPath, args, options)
  if (status !== 0) throw new Error(`cannot format results.json: ${stderr}`)
  return stdout
}

/** Writes summarised results into `folder`. If that is the benchmark's own, the README files show them. */
async function write(results, folder = BENCHMARK) {
  const { draw } = await import('./draw.mjs')
  const chartFolder = path.join(folder, 'charts')
  // Charts that are no longer drawn must go.
  fs.rmSync(chartFolder, { recursive: true, force: true })
  fs.mkdirSync(chartFolder, { recursive: true })
  fs.writeFileSync(path.join(folder, 'results.json'), toJson(results))
  for (const chart of charts(results)) {
    for (const theme of ['light', 'dark'])
      fs.writeFileSync(path.join(chartFolder, `${chart.id}-${theme}.svg`), draw(chart, theme))
  }
  if (path.relative(folder, BENCHMARK) !== '') return
  for (const file of READMES) {
    const fromReadme = path.relative(path.dirname(file), chartFolder).split(path.sep).join('/')
    fs.writeFileSync(file, rewrite(fs.readFileSync(file, 'utf8'), results, fromReadme))
  }
}

module.exports = { toJson, write }

if (require.main === module) {
  installPackages('charts')
  write(summarise(JSON.parse(fs.readFileSync(path.join(BENCHMARK, 'results.json'), 'utf8'))))
}
