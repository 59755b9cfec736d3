'use strict'

// SVG as text: elements, how wide a text is, and the frame that all charts have.

const { SIZES, styleSheet } = require('./theme.js')

const WIDTH = 640
const MARGIN = 24

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text) => String(text).replace(/[&<>"]/g, (character) => ESCAPES[character])

const rounded = (value) => (typeof value === 'number' ? Math.round(value * 10) / 10 : escaped(value))

/** An element with attributes, those that are undefined left out, and content that is SVG already. */
function element(name, attributes = {}, ...content) {
  const pairs = Object.entries(attributes).filter(([, value]) => value !== undefined && value !== '')
  const head = [name, ...pairs.map(([key, value]) => `${key}="${rounded(value)}"`)].join(' ')
  const body = content.flat().join('')
  return body ? `<${head}>${body}</${name}>` : `<${head}/>`
}

/** A line of text. `anchor`: `'start'`, `'middle'` or `'end'`; `y` is the base line. */
const text = (x, y, string, { className, anchor } = {}) =>
  element('text', { x, y, class: className, 'text-anchor': anchor }, escaped(string))

const line = (x1, y1, x2, y2, className) => element('line', { x1, y1, x2, y2, class: className })

/** Widths of characters as shares of the font size: those of the widest font that is likely, DejaVu Sans. */
const NARROW = /[fijlrt.,:;|()[\]/\s'’-]/
const WIDE = /[mwMW@×–]/
const shareOf = (character) => (WIDE.test(character) ? 0.9 : NARROW.test(character) ? 0.36 : 0.59)

/** About how wide a text is; rather too much than too little, since the reader's font is not known. */
const textWidth = (string, size = SIZES.label) =>
  size * Array.from(string, shareOf).reduce((sum, share) => sum + share, 0)

/** A word in pieces that fit. */
function pieces(word, width, size) {
  if (word.length < 2 || textWidth(word, size) <= width) return [word]
  const half = Math.ceil(word.length / 2)
  return [...pieces(word.slice(0, half), width, size), ...pieces(word.slice(half), width, size)]
}

/** Lines no wider than `width`, broken between words; a word that is wider is cut. */
function wrapped(string, width, size = SIZES.label) {
  const lines = []
  for (const word of string.split(/\s+/).flatMap((each) => pieces(each, width, size))) {
    const longer = `${lines.at(-1)} ${word}`
    if (lines.length > 0 && textWidth(longer, size) <= width) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}

/** The same number of lines, but of about the same length: no word is left alone on the last one. */
function balanced(string, width, size) {
  const fewest = wrapped(string, width, size).length
  const widest = Math.max(...string.split(/\s+/).map((word) => textWidth(word, size)))
  let best = width
  while (best - size >= widest && wrapped(string, best - size, size).length === fewest) best -= size
  return wrapped(string, best, size)
}

/** Lines of text below each other, and how high they are. `lead`: words that begin the text, and stand out. */
function paragraph(top, string, { className = 'small muted', size = SIZES.small, lead } = {}) {
  const lines = balanced(lead ? `${lead} ${string}` : string, WIDTH - 2 * MARGIN, size)
  const height = size * 1.4
  const content = lines.map((each, index) => {
    const options = { x: MARGIN, y: top + size + index * height, class: className }
    if (index > 0 || !lead || !each.startsWith(lead)) return element('text', options, escaped(each))
    return element(
      'text',
      options,
      element('tspan', { class: 'lead' }, escaped(lead)),
      escaped(each.slice(lead.length)),
    )
  })
  return { height: lines.length * height, content }
}

/**
 * A whole chart: heading, what `parts` draw below each other, and the lines of the footer.
 *
 * @param parts functions of the y at which they begin; each returns `{ content, height }`.
 */
function frame({ title, subtitle, description, footer, parts, theme }) {
  let y = MARGIN - 4
  const content = []
  const add = (part, gap) => {
    content.push(...part.content)
    y += part.height + gap
  }
  add(paragraph(y, title, { className: 'title', size: SIZES.title }), 2)
  add(paragraph(y, subtitle), 16)
  for (const part of parts) add(part(y), 14)
  for (const each of footer) add(paragraph(y, each), 0)
  const height = Math.ceil(y + MARGIN - 8)
  return `${element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${WIDTH} ${height}`,
      width: WIDTH,
      height,
      role: 'img',
      'aria-labelledby': 'title description',
    },
    element('title', { id: 'title' }, escaped(title)),
    element('desc', { id: 'description' }, escaped(description)),
    element('style', {}, styleSheet(theme)),
    element('rect', { width: WIDTH, height, rx: 6, fill: theme.background }),
    ...content,
  )}\n`
}

module.exports = { MARGIN, WIDTH, element, frame, line, paragraph, text, textWidth, wrapped }
