'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const LOAD = path.join(__dirname, 'support/load.js')
const KB = 1000

module.exports = {
  id: 'loading',
  title: 'Loading',
  detail:
    'require() in a fresh process; the addon that it maps; what is on the disk, dependencies included; what it adds.',
  measures: [
    { id: 'time', title: 'require()', unit: 'ms', better: 'lower' },
    { id: 'binary', title: 'binary', unit: 'KB', better: 'none' },
    { id: 'installed', title: 'on the disk', unit: 'KB', better: 'none' },
    { id: 'threads', title: 'threads added', unit: 'threads', better: 'lower' },
    { id: 'listeners', title: 'listeners added', unit: '', better: 'lower' },
  ],
  kinds: ['kernel', 'file', 'memory'],
  full: { count: 11 },
  quick: { count: 3 },
  trial({ entry, paths }, { count }) {
    // To warm the page cache.
    load(entry)
    const loads = Array.from({ length: count }, () => load(entry))
    const { time, threads, listeners, addons } = loads.sort((a, b) => a.time - b.time)[loads.length >> 1]
    return { time, binary: sizeOf(addons) / KB, installed: sizeOf(paths()) / KB, threads, listeners }
  },
}

const load = (entry) => JSON.parse(execFileSync(process.execPath, [LOAD, entry]))

/** How many bytes are in the files at `paths`, and below them. */
function sizeOf(paths) {
  const sizes = paths.map((name) => {
    const stats = fs.lstatSync(name)
    if (!stats.isDirectory()) return stats.size
    return sizeOf(fs.readdirSync(name).map((entry) => path.join(name, entry)))
  })
  return sizes.reduce((sum, size) => sum + size, 0)
}
