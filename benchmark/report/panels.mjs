// The panels of a chart, drawn by Observable Plot. Ours has the one colour; all others are grey.

import * as Plot from '@observablehq/plot'

import { GAP, LABEL, MARGIN, plot, SMALL, WIDTH } from './canvas.mjs'
import format from './format.js'

/** The height of an entry, and that of its bar. */
const ROW = 34
const BAR = 18

/** Longer names are broken, and smaller. */
const WIDEST_NAME = 213

/** About the width of a text. The reader's font is unknown. */
const widthOf = (text, size = LABEL) => text.length * size * 0.53

/** Digits are wider than letters, and the more so in bold. */
const valueWidth = (entries) => 1.25 * Math.max(...entries.map(({ text }) => widthOf(text)))

const nameWidth = (entries, size) => Math.min(WIDEST_NAME, Math.max(...entries.map(({ name }) => widthOf(name, size))))

/** The powers of ten from below the lowest value to above the highest; at most about six of them. */
function powersAround(values) {
  const first = Math.floor(Math.log10(Math.min(...values)))
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))))
  const step = Math.ceil((last - first + 1) / 6)
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) =>
    Number(`1e${first + index * step}`),
  )
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

/** An axis of text only, at all the values that it is given: a logarithmic axis would leave some out. */
const axis = { label: null, tickSize: 0, ticks: 100 }

/** Text that stands back. */
const small = (theme, options) => ({ fontSize: SMALL, fill: theme.muted, ...options })

/** What is not compared, but shows a limit, ends beyond the axis if it is longer than the others by this factor. */
const TOO_LONG = 1.5

/** Bars: how much of something each contestant does. */
export function bars({ entries: given, room }, theme) {
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
export function ranges({ keys, entries, unit, room }, theme) {
  const present = entries.flatMap(({ values }) => values.filter(Boolean))
  const values = present.map(({ value }) => value)
  const powers = powersAround(values)
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const [first, last] = [powers[0], powers.at(-1)]
  const domain = [low / first < CLOSE ? first : low, last / high < CLOSE ? last : high]
  const ticks = powers.filter((power) => power >= domain[0] && power <= domain[1])
  const inset = valueWidth(present) + GAP
  const side = (index, gap = GAP) => ({ textAnchor: index ? 'start' : 'end', dx: index ? gap : -gap })
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
      Plot.axisX(ticks, small(theme, { ...axis, tickPadding: 9, tickFormat: (value) => format.tick(value, unit) })),
      keys.map((key, index) =>
        // Above the first entry that has both.
        Plot.text(whole.slice(0, 1), {
          x: ({ values }) => values[index].value,
          text: () => key,
          ...small(theme, { frameAnchor: 'top', lineAnchor: 'bottom', dy: -5 }),
          ...side(index, -6),
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

/** The width of the names of a panel. */
export const roomFor = ({ entries, series }) => (series ? nameWidth(series, SMALL) : nameWidth(entries))

/** Less than that is noise, or nothing: there the axis becomes linear, and so reaches zero. */
const LEAST = { MB: 0.1, threads: 1 }

/** Between the base lines of two names. */
const NAME = SMALL * 1.3

/** Lines on logarithmic axes: how a cost grows with the work. Each has its name at its end. */
export function lines({ x, points, unit, series, room }, theme) {
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
  const ends = named.map(({ end }) => end)
  for (const [index, place] of apart(ends, NAME, ...range.toReversed()).entries()) named[index].place = place
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
      Plot.axisY(ticks, small(theme, { ...axis, tickPadding: 10, tickFormat: (value) => format.tick(value, unit) })),
      Plot.axisX(points, small(theme, { ...axis, tickPadding: 11, tickFormat: (value) => format.tick(value, '') })),
      Plot.text(
        [x],
        small(theme, { frameAnchor: 'bottom-right', lineAnchor: 'top', textAnchor: 'start', dx: 30, dy: 11 }),
      ),
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
