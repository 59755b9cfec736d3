'use strict'

// The colours of the charts: those of GitHub's pages, light and dark. Text has a contrast of at least 4.5 to the
// background. Ours has the one colour; all others are grey.

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

const FONT = `-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif`

/** Sizes of text, in units of which a chart is 640 wide: on a phone they are half as large. */
const SIZES = { title: 20, label: 16, small: 14 }

/** The style sheet of a chart. Properties one by one: not everybody who draws SVG knows the shorthands. */
const styleSheet = ({ text, muted, ours, peer, greys, grid, background }) =>
  [
    `text{font-family:${FONT};font-size:${SIZES.label}px;fill:${text}}`,
    `.title{font-size:${SIZES.title}px;font-weight:600}`,
    '.heading{font-weight:600}',
    `.small{font-size:${SIZES.small}px}`,
    `.muted,text.limit{fill:${muted}}`,
    `.lead{fill:${text}}`,
    `text.ours{fill:${ours};font-weight:600}`,
    // A rim in the colour of the background, where a text crosses a line.
    `.value{paint-order:stroke;stroke:${background};stroke-width:5px;stroke-linejoin:round}`,
    `.grid{stroke:${grid};fill:none}`,
    `.bar{fill:${peer}}`,
    `.bar.ours{fill:${ours}}`,
    `.bar.limit{fill:${grid};stroke:${peer}}`,
    `.cut{fill:${background}}`,
    `.range{stroke:${peer};stroke-width:3}`,
    `.range.ours{stroke:${ours}}`,
    '.range.limit{stroke-dasharray:2 4}',
    `.dot{fill:${peer};stroke:${peer};stroke-width:2.5}`,
    `.dot.ours{fill:${ours};stroke:${ours}}`,
    `.dot.hollow{fill:${background}}`,
    `.curve,.cross{fill:none;stroke:${peer};stroke-width:2;stroke-linejoin:round}`,
    `.point{fill:${peer}}`,
    ...greys.flatMap((grey, index) => [
      `.curve.grey-${index},.cross.grey-${index}{stroke:${grey}}`,
      `.point.grey-${index}{fill:${grey}}`,
    ]),
    '.curve.limit{stroke-dasharray:7 4}',
    `.curve.ours,.cross.ours{stroke:${ours};stroke-width:3.5}`,
    `.point.ours{fill:${ours}}`,
    `.leader{fill:none;stroke:${muted};stroke-dasharray:1 3}`,
  ].join('')

module.exports = { SIZES, THEMES, styleSheet }
