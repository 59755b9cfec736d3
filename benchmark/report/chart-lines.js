'use strict'

// Lines on two logarithmic axes: how a cost grows with the work. Each has its name at its end.

const { classOf, classes } = require('./chart-names.js')
const { tick } = require('./format.js')
const { apart, logarithmic, powersAround } = require('./scale.js')
const { MARGIN, WIDTH, element, line, text } = require('./svg.js')
const { SIZES } = require('./theme.js')

const HEADING = 34
const AXIS = 34
const LEFT = 72
/** From the end of the axis to the names. */
const GUTTER = 22
const LEAST_HEIGHT = 160
/** Between the base lines of two names. */
const NAME = SIZES.small * 1.3
/** Below the lowest mark of an axis there is room for what is too small for it, such as zero. */
const BELOW = 22
/** Above the highest value. */
const ABOVE = 1.15

/** What is less than that is noise, or nothing. */
const LEAST = { MB: 0.1, threads: 1 }

/**
 * @param points where the lines have been measured, on the axis that is called `x`.
 * @param series `{ name, ours, limit, shade, values: [{ x, value }, …], broken }`; `shade`: which of the greys;
 * `broken`: it failed after the last value.
 * @param nameWidth room for the names, the same in all panels of a chart.
 * @returns a part of a chart, for frame().
 */
const lines = ({ heading, x, points, unit, series, nameWidth }) => {
  const left = MARGIN + LEFT
  const right = WIDTH - MARGIN - nameWidth - GUTTER
  const height = Math.max(LEAST_HEIGHT, series.length * NAME)
  const across = logarithmic([points[0], points.at(-1)], left, right)
  return (top) => {
    const bottom = top + HEADING + height
    const up = verticalAxis(series, unit, bottom, top + HEADING)
    const named = withNamePlaces(series, up, top + HEADING, bottom)
    const pointBase = bottom + SIZES.small + 8
    return {
      height: HEADING + height + AXIS,
      content: [
        text(MARGIN, top + SIZES.label, heading, { className: 'heading' }),
        ...up.marks.flatMap(({ y, name }) => [
          line(left, y, right, y, 'grid'),
          text(left - 10, y + SIZES.small * 0.35, name, { anchor: 'end', className: 'small muted' }),
        ]),
        ...points.map((point) =>
          text(across.place(point), pointBase, tick(point, ''), { anchor: 'middle', className: 'small muted' }),
        ),
        text(right + GUTTER + 8, pointBase, x, { className: 'small muted' }),
        ...named.map((each) => leader(each, across, right)),
        // Ours last, over the others.
        ...named.filter(({ ours }) => !ours).flatMap((each) => curve(each, across, up)),
        ...named.filter(({ ours }) => ours).flatMap((each) => curve(each, across, up)),
        ...named.map(({ namePlace, ...each }) =>
          text(right + GUTTER, namePlace + SIZES.small * 0.35, each.name, {
            className: classes('small', classOf(each)),
          }),
        ),
      ],
    }
  }
}

/** Marks at powers of ten, and one at the bottom for what is less, where there is any. */
function verticalAxis(series, unit, bottom, top) {
  const values = series.flatMap((each) => each.values.map(({ value }) => value))
  const least = LEAST[unit] ?? Number.MIN_VALUE
  const [from, to] = powersAround(
    values.some((value) => value >= least) ? values.filter((value) => value >= least) : [1],
  )
  const end = Math.max(from * 10, Math.min(to, Math.max(...values) * ABOVE))
  const hasLess = values.some((value) => value < from)
  const { place, ticks } = logarithmic([from, end], bottom, top, { floor: hasLess ? bottom - BELOW : bottom })
  const marks = ticks.map((value) => ({ y: place(value), name: tick(value, unit) }))
  const less = { y: bottom, name: unit === 'threads' ? '0' : `<${tick(from, unit)}` }
  return { place, marks: hasLess ? [less, ...marks] : marks }
}

/** Puts each name beside the end of its line, or as near to it as the other names let it. */
function withNamePlaces(series, { place }, top, bottom) {
  const sorted = series
    .map((each) => ({ ...each, end: place(each.values.at(-1).value) }))
    .sort((a, b) => a.end - b.end || Number(b.ours) - Number(a.ours))
  const places = apart(
    sorted.map(({ end }) => end),
    NAME,
    top,
    bottom,
  )
  return sorted.map((each, index) => ({ ...each, namePlace: places[index] }))
}

/** From the end of a line to its name. */
function leader({ values, end, namePlace }, across, right) {
  const x = across.place(values.at(-1).x) + 8
  return element('path', {
    d: path([x, end], [Math.max(x, right + 4), end], [right + GUTTER - 4, namePlace]),
    class: 'leader',
  })
}

function curve(each, across, up) {
  const kind = classOf(each) ?? `grey-${each.shade}`
  const places = each.values.map(({ x, value }) => [across.place(x), up.place(value)])
  const [x, y] = places.at(-1)
  return [
    element('path', { d: path(...places), class: `curve ${kind}` }),
    ...places.map(([cx, cy]) => element('circle', { cx, cy, r: each.ours ? 4 : 3, class: `point ${kind}` })),
    each.broken
      ? element('path', {
          d: `${path([x - 5, y - 5], [x + 5, y + 5])}${path([x - 5, y + 5], [x + 5, y - 5])}`,
          class: `cross ${kind}`,
        })
      : '',
  ]
}

const path = (...places) =>
  places.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('')

module.exports = { lines }
