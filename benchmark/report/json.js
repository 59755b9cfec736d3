'use strict'

// JSON that people can read and compare: what fits on a line stays on one, so a round is a line.

/** As wide as the formatter of the project has it, which looks at results.json too. */
const WIDTH = 120

/** @param lead how many characters stand before the value on its line, and `tail` how many after it. */
function json(value, indent = '', lead = 0, tail = 0) {
  const flat = flatJson(value)
  if (lead + flat.length + tail <= WIDTH || typeof value !== 'object' || value === null) return flat
  const isArray = Array.isArray(value)
  const inner = `${indent}  `
  const entries = definedEntries(value).map(([key, entry], index, { length }) => {
    const start = inner + (isArray ? '' : `${JSON.stringify(key)}: `)
    return start + json(entry, inner, start.length, index < length - 1 ? 1 : 0)
  })
  const [open, close] = isArray ? '[]' : '{}'
  return `${open}\n${entries.join(',\n')}\n${indent}${close}`
}

function flatJson(value) {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = definedEntries(value)
  if (Array.isArray(value)) return `[${entries.map(([, entry]) => flatJson(entry)).join(', ')}]`
  if (entries.length === 0) return '{}'
  return `{ ${entries.map(([key, entry]) => `${JSON.stringify(key)}: ${flatJson(entry)}`).join(', ')} }`
}

/** As in JSON.stringify, a property without a value is left out, and an element without one is null. */
const definedEntries = (value) =>
  Object.entries(value).filter(([, entry]) => Array.isArray(value) || entry !== undefined)

const toJson = (value) => `${json(value)}\n`

module.exports = { toJson }
