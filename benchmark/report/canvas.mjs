// What all drawings of a chart share: the colours of GitHub's pages, light and dark, the measures, and the plot.

import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

const { document } = parseHTML('<html></html>')

/** Text has a contrast of at least 4.5 to the background. */
export const THEMES = {
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

/** In units of which a chart is 640 wide: on a phone they are half as large. */
export const WIDTH = 640
export const MARGIN = 24
export const [TITLE, LABEL, SMALL] = [20, 16, 14]

/** Between what is drawn and the text beside it. */
export const GAP = 11

/** A plot of the full width. The marks bring the axes themselves. */
export const plot = (options) =>
  Plot.plot({
    document,
    width: WIDTH,
    margin: 0,
    ...options,
    x: { axis: null, ...options.x },
    y: { axis: null, ...options.y },
    color: { type: 'identity' },
  })
