'use strict'

// Where the show is seen: on a terminal as a picture that moves, elsewhere as lines and one picture at the end.

const { eventLines, painter, picture } = require('./picture.js')

/** The picture must fit the narrowest terminal that is common; the last column stays free, lest the terminal wraps. */
const WIDTH = 79
const FRAME_INTERVAL = 50
/** How many lines of the latest events are seen under the moving picture. */
const LATEST = 6

const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'
const CLEAR_LINE = '\x1b[2K'
const CLEAR_BELOW = '\x1b[J'
const upBy = (lines) => (lines > 0 ? `\r\x1b[${lines}A` : '')

/** A screen for a show of about `length` ms, of what is on `stage`. */
function openScreen(stream, stage, length) {
  const colours = stream.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
  return colours && stream.columns > WIDTH
    ? new LiveScreen(stream, stage, length)
    : new PlainScreen(stream, stage, length)
}

class PlainScreen {
  paint = painter(false)

  constructor(stream, stage, length) {
    this.stream = stream
    this.stage = stage
    this.length = length
    stage.on('event', (event) => this.show(event))
  }

  show(event) {
    this.print(eventLines(event, this.stage.events, WIDTH))
  }

  /** Shows the whole picture for good, with `lines` below. */
  close(lines) {
    this.print(['', ...this.picture(), '', ...lines])
  }

  picture() {
    const { actors, events, time } = this.stage
    return picture(
      { actors, events, until: time, span: Math.max(this.length, time) },
      { width: WIDTH, paint: this.paint },
    )
  }

  print(lines) {
    this.stream.write(lines.map((line) => `${line}\n`).join(''))
  }
}

class LiveScreen extends PlainScreen {
  paint = painter(true)
  #timer = setInterval(() => this.#draw(), FRAME_INTERVAL)
  #height = 0

  /** The next frame has it. */
  show() {}

  close(lines) {
    clearInterval(this.#timer)
    this.#print([...this.picture(), '', ...lines], SHOW_CURSOR)
  }

  #draw() {
    const { events } = this.stage
    const latest = events.slice(-LATEST).flatMap((event) => eventLines(event, events, WIDTH))
    const frame = [...this.picture(), '', ...latest.slice(-LATEST)]
    // What has left the screen at the top could not be drawn over.
    this.#print(frame.slice(0, this.stream.rows - 1), HIDE_CURSOR)
  }

  /** Draws over the frame before. */
  #print(lines, cursor) {
    const text = lines.map((line) => `${CLEAR_LINE}${line}\n`).join('')
    this.stream.write(`${upBy(this.#height)}${text}${CLEAR_BELOW}${cursor}`)
    this.#height = lines.length
  }
}

module.exports = { WIDTH, openScreen }
