'use strict'

// Horizontal bars on a linear axis: how much of something each contestant does.

const { classOf, classes, drawName } = require('./chart-names.js')
const { linear } = require('./scale.js')
const { MARGIN, WIDTH, element, line, text, textWidth } = require('./svg.js')
const { SIZES } = require('./theme.js')

const ROW = 34
const BAR = 18
const HEADING = 30
const GAP = 10
/** A bar of nothing is still seen. */
const SHORTEST = 2

/** What is not to be compared, but shows a limit, ends beyond the axis if it is longer than the others by this factor. */
const TOO_LONG = 1.5

/**
 * @param entries `{ name, ours, limit, value, text }`, best first; `limit`: shown for scale, it locks no file.
 * @param nameWidth room for the names, the same in all panels of a chart.
 * @returns a part of a chart, for frame().
 */
const bars = ({ heading, entries, nameWidth }) => {
  const start = MARGIN + nameWidth + GAP
  const end = WIDTH - MARGIN - GAP - Math.max(...entries.map((entry) => textWidth(entry.text)))
  const compared = Math.max(...entries.filter(({ limit }) => !limit).map(({ value }) => value))
  const longest = Math.max(...entries.map(({ value }) => value).filter((value) => value <= compared * TOO_LONG))
  const { place } = linear(longest, start, end)

  const row = (entry, y) => {
    const right = Math.max(place(entry.value), start + SHORTEST)
    const bar = { x: start, y: y - BAR / 2, width: right - start, height: BAR, rx: 2 }
    return [
      drawName(entry, start - GAP, y),
      element('rect', { ...bar, class: classes('bar', classOf(entry)) }),
      entry.value > longest ? cut(right - 28, y) : '',
      text(right + GAP, y + SIZES.label * 0.35, entry.text, { className: classOf(entry) }),
    ].flat()
  }
  return (top) => ({
    height: HEADING + entries.length * ROW,
    content: [
      text(MARGIN, top + SIZES.label, heading, { className: 'heading' }),
      line(start, top + HEADING, start, top + HEADING + entries.length * ROW, 'grid'),
      ...entries.flatMap((entry, index) => row(entry, top + HEADING + (index + 0.5) * ROW)),
    ],
  })
}

/** A slanted gap: the bar is longer than it is drawn. */
const cut = (x, y) => element('path', { d: `M${x} ${y + BAR / 2 + 1}l7 ${-BAR - 2}h7l-7 ${BAR + 2}z`, class: 'cut' })

module.exports = { bars }
