'use strict'

// The names beside the rows of a chart, and how a contestant looks in it.

const { text, textWidth, wrapped } = require('./svg.js')
const { SIZES } = require('./theme.js')

/** Longer names are broken, and smaller. */
const WIDEST = 200

const linesOf = (name) => {
  if (textWidth(name) <= WIDEST) return { lines: [name], size: SIZES.label }
  return { lines: wrapped(name, WIDEST, SIZES.small), size: SIZES.small }
}

/** How much room the names of these entries need. */
const widthOfNames = (entries) =>
  Math.max(
    ...entries.map(({ name }) => {
      const { lines, size } = linesOf(name)
      return Math.max(...lines.map((line) => textWidth(line, size)))
    }),
  )

/** The class of all that is drawn for an entry: ours, or what only shows a limit, or one of the peers. */
const classOf = ({ ours, limit }) => (ours ? 'ours' : limit ? 'limit' : undefined)

/** Several classes, of which some may be missing. */
const classes = (...names) => names.filter(Boolean).join(' ')

/** A name that ends at `x` and has its middle at `y`. */
function drawName(entry, x, y) {
  const { lines, size } = linesOf(entry.name)
  const height = size * 1.15
  const first = y + size * 0.35 - ((lines.length - 1) * height) / 2
  const className = classes(classOf(entry), size === SIZES.small && 'small')
  return lines.map((line, index) => text(x, first + index * height, line, { anchor: 'end', className }))
}

module.exports = { classOf, classes, drawName, widthOfNames }
