// Draws a whole chart as SVG.

import * as Plot from '@observablehq/plot'

import { LABEL, MARGIN, plot, SMALL, THEMES, TITLE, WIDTH } from './canvas.mjs'
import { bars, lines, ranges, roomFor } from './panels.mjs'

const PANELS = { bars, lines, ranges }

const FONT = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"

const escaped = (text) => text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`)

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

/** Heading, panels below each other, notes, and footer. `themeName`: `'light'` or `'dark'`. */
export function draw({ title, subtitle, description, panels, notes, footer }, themeName) {
  const theme = THEMES[themeName]
  const muted = { fill: theme.muted }
  const heading = { fill: theme.text, fontWeight: 600 }
  const room = Math.max(...panels.map(roomFor))
  /** Each with the gap above it. */
  const parts = [
    { gap: 0, ...paragraph(title, { size: TITLE, ...heading }) },
    { gap: 2, ...paragraph(subtitle, muted) },
    ...panels.flatMap((panel) => {
      const svg = PANELS[panel.kind]({ ...panel, room }, theme)
      const drawn = { gap: panel.heading ? 3 : 16, svg, height: Number(svg.getAttribute('height')) }
      return panel.heading ? [{ gap: 14, ...paragraph(panel.heading, { size: LABEL, ...heading }) }, drawn] : [drawn]
    }),
    ...notes.map(({ name, text }, index) => ({
      gap: index === 0 ? 14 : 4,
      ...paragraph(text, { ...muted, lead: `${name}:`, strong: theme.text }),
    })),
    { gap: 18, ...paragraph(footer.join('\n'), muted) },
  ]
  let y = MARGIN - 4
  const content = parts.map(({ gap, svg, height }) => {
    svg.querySelector('style')?.remove()
    const group = `<g transform="translate(0,${Math.round(y + gap)})">${svg.innerHTML}</g>`
    y += gap + height
    return group
  })
  const height = Math.ceil(y + MARGIN - 8)
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" ` +
    `aria-labelledby="title description" font-family="${FONT}" text-anchor="middle">` +
    `<title id="title">${escaped(title)}</title><desc id="description">${escaped(description)}</desc>` +
    `<rect width="${WIDTH}" height="${height}" rx="6" fill="${theme.background}"/>${content.join('')}</svg>\n`
  )
}
