'use strict'

// Lines of aligned cells, and lines that wrap.

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }

/** A painter for terminals, and one for everything else. */
const painter = (colours) => (text, style) => (colours && style && text ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text)

/**
 * @param rows each a list of cells `{ text, style, right }`, of which the last may be missing. Columns are two spaces
 * apart, and as wide as their widest cell.
 */
function grid(rows, paint = (text) => text, indent = '  ') {
  const count = Math.max(...rows.map((row) => row.length))
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.text.length ?? 0)),
  )
  return rows.map((row) => {
    const cells = row.map(({ text, style, right }, column) => {
      const space = ' '.repeat(widths[column] - text.length)
      return right ? space + paint(text, style) : paint(text, style) + (column < row.length - 1 ? space : '')
    })
    return (indent + cells.join('  ')).trimEnd()
  })
}

/** Lines of at most `width`, broken between words, those after the first indented; a word that is longer is cut. */
function wrap(text, width, indent = '') {
  const room = width - indent.length
  const lines = text.match(new RegExp(`\\S.{0,${room - 1}}(?!\\S)|\\S{${room}}`, 'g')) ?? ['']
  return lines.map((line, index) => (index === 0 ? '' : indent) + line.trimEnd())
}

module.exports = { grid, painter, wrap }
