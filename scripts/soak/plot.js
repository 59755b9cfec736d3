'use strict'

// What a process used over time, as a chart: a panel for each quantity, from zero up.

const { frame, element, line, MARGIN, text, WIDTH } = require('../../benchmark/report/svg.js')
const { linear } = require('../../benchmark/report/scale.js')
const { SIZES, THEMES } = require('../../benchmark/report/theme.js')

const HEADING = 22
const HEIGHT = 90
const LEFT = 64
/** Above the highest value. */
const ABOVE = 1.15

const MB = 1_000_000

/** The quantities of a sample: the heading, and how a value is shown. */
const PANELS = {
  rss: { heading: 'Memory (RSS), MB', show: (value) => (value / MB).toFixed(0) },
  descriptors: { heading: 'Descriptors', show: String },
  threads: { heading: 'Threads', show: String },
}

function panel(samples, name) {
  const { heading, show } = PANELS[name]
  const most = Math.max(...samples.map((sample) => sample[name]))
  return (top) => {
    const bottom = top + HEADING + HEIGHT
    const up = linear(most * ABOVE, bottom, top + HEADING)
    const across = linear(samples.at(-1).at, MARGIN + LEFT, WIDTH - MARGIN)
    const points = samples.map((sample) => `${across.place(sample.at).toFixed(1)},${up.place(sample[name]).toFixed(1)}`)
    const mark = (value) => [
      line(MARGIN + LEFT, up.place(value), WIDTH - MARGIN, up.place(value), 'grid'),
      text(MARGIN + LEFT - 8, up.place(value) + SIZES.small * 0.35, show(value), { className: 'small', anchor: 'end' }),
    ]
    return {
      height: HEADING + HEIGHT,
      content: [
        text(MARGIN, top + SIZES.label, heading, { className: 'heading' }),
        ...[0, most].flatMap(mark),
        element('path', { d: `M${points.join('L')}`, class: 'curve ours' }),
      ],
    }
  }
}

/** An SVG of `samples`: `{ at, rss, descriptors, threads }`, `at` in the unit that `subtitle` names. */
const plot = ({ title, subtitle, samples }) =>
  frame({
    title,
    subtitle,
    description: `${title}. ${subtitle}`,
    footer: [],
    parts: Object.keys(PANELS).map((name) => panel(samples, name)),
    theme: THEMES.light,
  })

module.exports = { plot }
