'use strict'

// Two values a contestant on a logarithmic axis, as dots with a line between them: p50 and p99, or two amounts of work.
// Dots, not bars: a logarithmic axis has no zero for a bar to stand on.

const { classOf, classes, drawName, widthOfNames } = require('./chart-names.js')
const { tick } = require('./format.js')
const { logarithmic, powersAround } = require('./scale.js')
const { MARGIN, WIDTH, element, line, text, textWidth } = require('./svg.js')
const { SIZES } = require('./theme.js')

const ROW = 34
const KEY = 24
const AXIS = 26
const DOT = 6
const GAP = 12

/** An axis begins and ends at a power of ten if that is closer to the values than this factor. */
const CLOSE = 3

/**
 * @param keys what the full and the hollow dot stand for.
 * @param entries `{ name, ours, limit, values: [{ value, text }, …] }`, best first, the values in the order of the keys
 * and in `unit`; a missing one is undefined.
 * @returns a part of a chart, for frame().
 */
const ranges = ({ keys, entries, unit }) => {
  const present = entries.flatMap(({ values }) => values.filter(Boolean))
  const room = Math.max(...present.map((value) => textWidth(value.text))) + DOT + GAP
  const start = MARGIN + widthOfNames(entries) + GAP
  const domain = closeAround(present.map(({ value }) => value))
  const { place, ticks } = logarithmic(domain, start + room, WIDTH - MARGIN - room)
  return (top) => {
    const bottom = top + KEY + entries.length * ROW
    return {
      height: KEY + entries.length * ROW + AXIS,
      content: [
        ...ticks.flatMap((value) => mark(place(value), top + KEY, bottom, tick(value, unit))),
        ...keyTexts(keys, entries, place, top + SIZES.small),
        ...entries.flatMap((entry, index) => row(entry, place, start, top + KEY + (index + 0.5) * ROW)),
      ],
    }
  }
}

/** From the lowest value to the highest, and on to the next powers of ten where those are close. */
function closeAround(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const [first, last] = powersAround(values)
  return [low / first < CLOSE ? first : low, last / high < CLOSE ? last : high]
}

const mark = (x, top, bottom, label) => [
  line(x, top, x, bottom, 'grid'),
  text(x, bottom + SIZES.small + 6, label, { anchor: 'middle', className: 'small muted' }),
]

function row(entry, place, nameEnd, y) {
  const [first, second] = entry.values.map((value) => value && { ...value, x: place(value.value) })
  const base = y + SIZES.label * 0.35
  const className = classes('value', classOf(entry))
  const content = drawName(entry, nameEnd, y)
  if (first && second) content.push(line(first.x, y, second.x, y, classes('range', classOf(entry))))
  if (first)
    content.push(dot(first.x, y, classOf(entry)), text(first.x - GAP, base, first.text, { anchor: 'end', className }))
  if (second)
    content.push(
      dot(second.x, y, classes('hollow', classOf(entry))),
      text(second.x + GAP, base, second.text, { className }),
    )
  return content
}

const dot = (x, y, className) => element('circle', { cx: x, cy: y, r: DOT, class: classes('dot', className) })

/** Says above the first entry that has both dots what each of them stands for. They can be close: the texts diverge. */
function keyTexts(keys, entries, place, y) {
  const values = entries.find((entry) => entry.values.every(Boolean))?.values ?? entries[0].values
  return values.flatMap((value, index) => {
    if (!value) return []
    const x = place(value.value) + (index === 0 ? DOT : -DOT)
    return text(x, y, keys[index], { anchor: index === 0 ? 'end' : 'start', className: 'small muted' })
  })
}

module.exports = { ranges }
