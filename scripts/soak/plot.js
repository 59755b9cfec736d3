'use strict'

// What a process used over time, as a line of bars for each quantity, from zero up.

const WIDTH = 60
const BARS = '▁▂▃▄▅▆▇█'

const MB = 1_000_000

/** The quantities of a sample, and how a value is shown. */
const QUANTITIES = {
  rss: { name: 'memory', show: (value) => `${(value / MB).toFixed(0)} MB` },
  descriptors: { name: 'descriptors', show: String },
  threads: { name: 'threads', show: String },
}

function line(samples, quantity) {
  const { name, show } = QUANTITIES[quantity]
  const values = samples.map((sample) => sample[quantity])
  const most = Math.max(...values)
  const width = Math.min(WIDTH, values.length)
  const bars = Array.from({ length: width }, (_, column) => {
    const value = values[Math.floor((column * values.length) / width)]
    return BARS[Math.min(BARS.length - 1, Math.floor((value / most) * BARS.length))]
  })
  return `  ${name.padEnd(12)}${bars.join('')}  at most ${show(most)}`
}

/** Lines of text for samples taken at equal distances: `{ rss, descriptors, threads }`. */
const plot = (samples) =>
  Object.keys(QUANTITIES)
    .map((quantity) => line(samples, quantity))
    .join('\n')

module.exports = { plot }
