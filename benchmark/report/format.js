'use strict'

// Figures as people read them: three significant digits, and a unit of the right size.

/** Units of one quantity, the smallest first, with their size. */
const SCALES = [
  { ns: 1e-9, µs: 1e-6, ms: 1e-3, s: 1 },
  { B: 1, KB: 1e3, MB: 1e6, GB: 1e9 },
]

const DIGITS = 3
const MINUS = '−'

/** Three significant digits. */
const round = (value) => Number(value.toPrecision(DIGITS))

/** Returns true for units of time. */
const isTime = (unit) => unit in SCALES[0]

/** Returns true for units of size. */
const isSize = (unit) => unit in SCALES[1]

/** `value` of `unit` in seconds or bytes; other units stay as they are. */
const inBase = (value, unit) => value * (SCALES.find((scale) => unit in scale)?.[unit] ?? 1)

/** A rate is rounded, a count is not: 6,387 of 6,400 turns is not 6,390. */
const isCount = (value, unit) => Number.isInteger(value) && !isTime(unit) && !isSize(unit) && unit !== 'per second'

/** The unit that gives the shortest figure. It is chosen after rounding, so that 999.7 µs becomes 1 ms. */
function unitFor(value, unit) {
  const scale = SCALES.find((candidate) => unit in candidate)
  if (!scale || value === 0) return unit
  const base = Math.abs(round(inBase(value, unit)))
  const units = Object.keys(scale)
  return units.findLast((name) => round(base / scale[name]) >= 1) ?? units[0]
}

const THREE_DIGITS = { minimumSignificantDigits: DIGITS, maximumSignificantDigits: DIGITS }

function digits(value, unit) {
  if (value === 0) return '0'
  const text = isCount(value, unit) ? value.toLocaleString('en-US') : round(value).toLocaleString('en-US', THREE_DIGITS)
  return text.replace('-', MINUS)
}

/** `value` as digits of another unit of its quantity. */
const digitsIn = (value, unit, shown) => digits(unit === shown ? value : inBase(value, unit) / inBase(1, shown), shown)

/** The title of a count says what is counted. */
const SUFFIXES = { '': '', threads: '', 'per second': '/s' }
const suffix = (unit) => SUFFIXES[unit] ?? ` ${unit}`

/** `80.1 µs`, `1.20 ms`, `12,600/s`, `3`. */
function figure(value, unit) {
  const shown = unitFor(value, unit)
  return digitsIn(value, unit, shown) + suffix(shown)
}

/** The spread around `median`, in the unit that its figure has and without naming it: `78.0–82.2`. */
function spread({ median, low, high }, unit) {
  const shown = unitFor(median, unit)
  return `${digitsIn(low, unit, shown)}–${digitsIn(high, unit, shown)}`
}

/** How many times as much: `0.963 ×`. */
const ratio = (value) => `${digits(value, 'per second')} ×`

/** A mark on an axis: without needless zeros. */
function tick(value, unit) {
  const shown = unitFor(value, unit)
  const number = round(inBase(value, unit) / inBase(1, shown))
  return number.toLocaleString('en-US').replace('-', MINUS) + (isTime(unit) || isSize(unit) ? ` ${shown}` : '')
}

module.exports = { figure, isSize, isTime, ratio, spread, tick }
