// Draws a chart as SVG with Observable Plot, in the colours of GitHub's pages, light and dark. Ours has the one colour;
// all others are grey. Text has a contrast of at least 4.5 to the background.

import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

import format from './format.js'

const { document } = parseHTML('<html></html>')

const THEMES = {
  light: {
    background: '#ffffff',
    text: '#1f2328',
    muted: '#59636e',
    grid: '#d8dee4',
    ours: '#0969da',
    peer: '#8c959f',
    greys: ['#59636e', '#737d88', '#8c959f'],
  },
  dark: {
    background: '#0d1117',
    text: '#f0f6fc',
    muted: '#9198a1',
    grid: '#2a313c',
    ours: '#4493f8',
    peer: '#656c76',
    greys: ['#9198a1', '#757c86', '#5f6670'],
  },
}

const FONT = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"

/** In units of which a chart is 640 wide: on a phone they are half as large. */
const WIDTH = 640
const MARGIN = 24
const [TITLE, LABEL, SMALL] = [20, 16, 14]

/** The height of an entry of a panel, and that of its bar. */
const ROW = 34
const BAR = 18
/** Between what is drawn and the text beside it. */
const GAP = 11

/** Longer names are broken, and smaller. */
const WIDEST_NAME = 213

/** About the width of a text. The reader's font is unknown. */
const widthOf = (text, size = LABEL) => text.length * size * 0.53

/** Digits are wider than letters, and the more so in bold. */
const valueWidth = (entries) => 1.25 * Math.max(...entries.map(({ text }) => widthOf(text)))

const nameWidth = (entries) => Math.min(WIDEST_NAME, Math.max(...entries.map(({ name }) => widthOf(name))))

/** The powers of ten from below the lowest value to above the highest; at most about six of them. */
function powersAround(values) {
  const first = Math.floor(Math.log10(Math.min(...values)))
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))))
  const step = Math.ceil((last - first + 1) / 6)
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) =>
    Number(`1e${first + index * step}`),
  )
}

/** A plot of the full width. The marks bring the axes themselves. */
const plot = (options) =>
  Plot.plot({
    document,
    width: WIDTH,
    margin: 0,
    ...options,
    x: { axis: null, ...options.x },
    y: { axis: null, ...options.y },
    color: { type: 'identity' },
    symbol: { type: 'identity' },
  })

/** Lines of text, of about the same length: no word is alone on the last one. What they begin with, `lead`, stands out. */
function paragraph(string, { size = SMALL, lead, strong, ...options }) {
  const style = { frameAnchor: 'top-left', dx: MARGIN, fontSize: size, lineHeight: 1.4, ...options }
  const wrapped = (lineWidth) => {
    const marks = [Plot.text([lead ? `${lead} ${string}` : string], { ...style, lineWidth })]
    if (lead) marks.push(Plot.text([lead], { ...style, fill: strong }))
    const svg = plot({ height: size, marks })
    return { svg, height: Math.max(1, svg.querySelectorAll('tspan').length) * size * 1.4 }
  }
  const widest = (WIDTH - 2 * MARGIN) / size - 1.5
  let best = wrapped(widest)
  for (let width = widest - 1; width > widest / 2; width--) {
    const narrower = wrapped(width)
    if (narrower.height > best.height) break
    best = narrower
  }
  return best
}

/** A text for each entry; ours is bold. */
const texts = (entries, theme, options) =>
  [true, false].map((ours) =>
    Plot.text(
      entries.filter((each) => each.ours === ours),
      {
        fontSize: LABEL,
        fontWeight: ours ? 600 : undefined,
        fill: ({ limit }) => (ours ? theme.ours : limit ? theme.muted : theme.text),
        ...options,
      },
    ),
  )

/** The scale on which the entries of a panel stand below each other, and their names. */
const rows = (entries) => ({
  domain: entries.map(({ name }) => name),
  paddingInner: 1 - BAR / ROW,
  paddingOuter: (1 - BAR / ROW) / 2,
})

const names = (entries, theme) =>
  texts(entries, theme, {
    frameAnchor: 'left',
    textAnchor: 'end',
    dx: -GAP,
    y: 'name',
    text: 'name',
    fontSize: ({ name }) => (widthOf(name) > WIDEST_NAME ? SMALL : LABEL),
    lineWidth: WIDEST_NAME / SMALL,
  })

/** Text beside an axis, at all the values that it is given: a logarithmic axis would leave some out. */
const small = (theme, options) => ({
  fontSize: SMALL,
  color: theme.muted,
  label: null,
  tickSize: 0,
  ticks: 100,
  ...options,
})

const PANELS = { bars, ranges, lines }

/** What is not compared, but shows a limit, ends beyond the axis if it is longer than the others by this factor. */
const TOO_LONG = 1.5

/** Bars: how much of something each contestant does. */
function bars({ entries: given, room }, theme) {
  const entries = given.map(({ values: [value], ...entry }) => ({ ...entry, ...value }))
  const compared = Math.max(...entries.filter(({ limit }) => !limit).map(({ value }) => value))
  const longest = Math.max(...entries.map(({ value }) => value).filter((value) => value <= compared * TOO_LONG))
  const cut = entries.filter(({ value }) => value > longest)
  return plot({
    height: entries.length * ROW,
    marginLeft: MARGIN + room + GAP,
    marginRight: MARGIN + GAP + valueWidth(entries),
    x: { domain: [0, longest], clamp: true },
    y: rows(entries),
    marks: [
      Plot.ruleX([0], { stroke: theme.grid }),
      Plot.barX(entries, {
        x: 'value',
        y: 'name',
        r: 2,
        fill: ({ ours, limit }) => (ours ? theme.ours : limit ? theme.grid : theme.peer),
        stroke: ({ limit }) => (limit ? theme.peer : 'none'),
      }),
      Plot.tickX(cut, {
        x: 'value',
        y: 'name',
        dx: -24,
        insetTop: -1,
        insetBottom: -1,
        stroke: theme.background,
        strokeWidth: 6,
      }),
      ...names(entries, theme),
      ...texts(entries, theme, { x: 'value', y: 'name', text: 'text', textAnchor: 'start', dx: GAP }),
    ],
  })
}

/** A logarithmic axis begins and ends at a power of ten if that is closer to the values than this factor. */
const CLOSE = 3

/**
 * Two values for each contestant, as dots with a line between them: p50 and p99, or two amounts of work. Dots and not
 * bars, since a logarithmic axis has no zero for a bar to stand on.
 */
function ranges({ keys, entries, unit, room }, theme) {
  const present = entries.flatMap(({ values }) => values.filter(Boolean))
  const values = present.map(({ value }) => value)
  const powers = powersAround(values)
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const [first, last] = [powers[0], powers.at(-1)]
  const domain = [low / first < CLOSE ? first : low, last / high < CLOSE ? last : high]
  const ticks = powers.filter((power) => power >= domain[0] && power <= domain[1])
  const inset = valueWidth(present) + GAP
  const side = (index) => ({ textAnchor: index ? 'start' : 'end', dx: index ? GAP : -GAP })
  const colour = ({ ours }) => (ours ? theme.ours : theme.peer)
  const whole = entries.filter((entry) => entry.values.every(Boolean))
  const dots = (index) => {
    const shown = entries.filter((entry) => entry.values[index])
    const x = (entry) => entry.values[index].value
    return [
      Plot.dot(shown, {
        x,
        y: 'name',
        r: 6,
        strokeWidth: 2.5,
        stroke: colour,
        fill: index ? theme.background : colour,
      }),
      // A rim in the colour of the background, where a text crosses a line.
      texts(shown, theme, {
        x,
        y: 'name',
        text: (entry) => entry.values[index].text,
        ...side(index),
        stroke: theme.background,
        strokeWidth: 5,
      }),
    ]
  }
  return plot({
    height: entries.length * ROW + 2 * MARGIN,
    marginTop: MARGIN,
    marginBottom: MARGIN,
    marginLeft: MARGIN + room + GAP,
    marginRight: MARGIN,
    x: { type: 'log', domain, insetLeft: inset, insetRight: inset },
    y: rows(entries),
    marks: [
      Plot.ruleX(ticks, { stroke: theme.grid }),
      Plot.axisX(ticks, small(theme, { tickPadding: 9, tickFormat: (value) => format.tick(value, unit) })),
      keys.map((key, index) =>
        // Above the first entry that has both.
        Plot.text(whole.slice(0, 1), {
          x: ({ values }) => values[index].value,
          text: () => key,
          frameAnchor: 'top',
          lineAnchor: 'bottom',
          textAnchor: index ? 'start' : 'end',
          dx: index ? -6 : 6,
          dy: -5,
          fontSize: SMALL,
          fill: theme.muted,
        }),
      ),
      ...[true, false].map((limit) =>
        Plot.ruleY(
          whole.filter((entry) => entry.limit === limit),
          {
            x1: ({ values }) => values[0].value,
            x2: ({ values }) => values[1].value,
            y: 'name',
            stroke: colour,
            strokeWidth: 3,
            strokeDasharray: limit ? '2 4' : undefined,
          },
        ),
      ),
      ...names(entries, theme),
      dots(0),
      dots(1),
    ],
  })
}

/** Less than that is noise, or nothing: there the axis becomes linear, and so reaches zero. */
const LEAST = { MB: 0.1, threads: 1 }

/** Between the base lines of two names. */
const NAME = SMALL * 1.3

/** Lines on logarithmic axes: how a cost grows with the work. Each has its name at its end. */
function lines({ x, points, unit, series, room }, theme) {
  const values = series.flatMap((each) => each.values.map(({ value }) => Math.max(0, value)))
  const least = LEAST[unit] ?? 0
  const hasLess = values.some((value) => value < least)
  const positive = values.filter((value) => value >= least && value > 0)
  const powers = powersAround(positive.length > 0 ? positive : [1])
  const height = Math.max(160, series.length * NAME)
  const right = WIDTH - MARGIN - room - 22
  const vertical = {
    type: hasLess ? 'symlog' : 'log',
    constant: least / 2,
    domain: [hasLess ? 0 : powers[0], Math.max(powers[1], Math.min(powers.at(-1), Math.max(...values) * 1.15))],
    clamp: true,
  }
  const across = { type: 'log', domain: [points[0], points.at(-1)] }
  const range = [height + MARGIN / 2, MARGIN / 2]
  const up = Plot.scale({ y: { ...vertical, range } })
  const horizontal = Plot.scale({ x: { ...across, range: [MARGIN + 72, right] } })
  const ticks = [...(hasLess ? [0] : []), ...powers].filter((value) => value <= vertical.domain[1])
  // Ours last, over the others.
  const drawn = [...series].sort((a, b) => a.ours - b.ours)
  const colour = ({ ours, limit, rank }) =>
    ours ? theme.ours : limit ? theme.peer : theme.greys[rank % theme.greys.length]
  const named = series
    .map((each) => ({ ...each, end: up.apply(each.values.at(-1).value) }))
    .sort((a, b) => a.end - b.end || b.ours - a.ours)
  for (const [index, place] of apart(
    named.map(({ end }) => end),
    NAME,
    range[1],
    range[0],
  ).entries())
    named[index].place = place
  const pixel = (value) => ({ value, scale: null })
  return plot({
    height: height + MARGIN / 2 + 30,
    marginTop: MARGIN / 2,
    marginBottom: 30,
    marginLeft: MARGIN + 72,
    marginRight: WIDTH - right,
    x: across,
    y: vertical,
    marks: [
      Plot.ruleY(ticks, { stroke: theme.grid }),
      Plot.axisY(ticks, small(theme, { tickPadding: 10, tickFormat: (value) => format.tick(value, unit) })),
      Plot.axisX(points, small(theme, { tickPadding: 11, tickFormat: (value) => format.tick(value, '') })),
      Plot.text([x], {
        frameAnchor: 'bottom-right',
        lineAnchor: 'top',
        textAnchor: 'start',
        dx: 30,
        dy: 11,
        fontSize: SMALL,
        fill: theme.muted,
      }),
      ...named.map(({ values, end, place }) =>
        Plot.line(
          [
            [horizontal.apply(values.at(-1).x) + 8, end],
            [Math.max(horizontal.apply(values.at(-1).x) + 8, right + 4), end],
            [right + 18, place],
          ],
          {
            x: pixel((point) => point[0]),
            y: pixel((point) => point[1]),
            stroke: theme.muted,
            strokeDasharray: '1 3',
            strokeLinecap: 'butt',
            strokeWidth: 1,
          },
        ),
      ),
      ...drawn.flatMap((each) => [
        Plot.line(each.values, {
          x: 'x',
          y: 'value',
          stroke: colour(each),
          strokeWidth: each.ours ? 3.5 : 2,
          strokeDasharray: each.limit ? '7 4' : undefined,
        }),
        Plot.dot(each.values, { x: 'x', y: 'value', r: each.ours ? 4 : 3, fill: colour(each) }),
        Plot.dot(each.broken ? each.values.slice(-1) : [], {
          x: 'x',
          y: 'value',
          r: 5,
          symbol: 'times',
          stroke: colour(each),
          strokeWidth: 2,
        }),
      ]),
      ...texts(named, theme, {
        fontSize: SMALL,
        x: pixel(() => right + 22),
        y: pixel('place'),
        text: 'name',
        textAnchor: 'start',
      }),
    ],
  })
}

/** Moves places, given in order, the least way, so that each is `distance` from the next and all are in the range. */
export function apart(places, distance, from, to) {
  const pushed = (given) => {
    let least = -Infinity
    return given.map((place) => {
      const moved = Math.max(place, least)
      least = moved + distance
      return moved
    })
  }
  const mirrored = (given) => given.map((place) => -place).reverse()
  const raised = (given) => mirrored(pushed(mirrored(given)))
  const [down, up] = [pushed(places), raised(places)]
  const between = down.map((place, index) => Math.max(from, (place + up[index]) / 2))
  return raised(pushed(between).map((place) => Math.min(place, to)))
}

/** The whole chart: heading, panels below each other, notes, and footer. `theme`: `'light'` or `'dark'`. */
export function draw({ title, subtitle, description, panels, notes, footer }, themeName) {
  const theme = THEMES[themeName]
  const muted = { fill: theme.muted }
  const entries = panels.flatMap((panel) => panel.entries ?? panel.series)
  const room = panels[0].series ? Math.max(...entries.map(({ name }) => widthOf(name, SMALL))) : nameWidth(entries)
  const parts = [
    { ...paragraph(title, { size: TITLE, fill: theme.text, fontWeight: 600 }), gap: 2 },
    { ...paragraph(subtitle, muted), gap: 16 },
    ...panels.flatMap((panel) => {
      const svg = PANELS[panel.kind]({ ...panel, room }, theme)
      const heading = panel.heading
        ? [{ ...paragraph(panel.heading, { size: LABEL, fill: theme.text, fontWeight: 600 }), gap: 3 }]
        : []
      return [...heading, { svg, height: Number(svg.getAttribute('height')), gap: 12 }]
    }),
    ...notes.map(({ name, text }) => ({
      ...paragraph(text, { ...muted, lead: `${name}:`, strong: theme.text }),
      gap: 4,
    })),
    ...footer.map((text, index) => ({ ...paragraph(text, muted), gap: 0, above: index === 0 ? 14 : 0 })),
  ]
  let y = MARGIN - 4
  const content = parts.map(({ svg, height, gap, above = 0 }) => {
    y += above
    svg.querySelector('style')?.remove()
    const group = `<g transform="translate(0,${Math.round(y)})">${svg.innerHTML}</g>`
    y += height + gap
    return group
  })
  const height = Math.ceil(y + MARGIN - 8)
  const [titleElement, desc] = [
    ['title', title],
    ['desc', description],
  ].map(([name, text]) => {
    const element = document.createElement(name)
    element.textContent = text
    return element.innerHTML
  })
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" ` +
    `aria-labelledby="title description" font-family="${FONT}" text-anchor="middle"><title id="title">${titleElement}</title>` +
    `<desc id="description">${desc}</desc><rect width="${WIDTH}" height="${height}" rx="6" fill="${theme.background}"/>` +
    `${content.join('')}</svg>\n`
  )
}
