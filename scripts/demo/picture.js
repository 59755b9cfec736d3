'use strict'

// From recorded events to lines of text. Pure functions: nothing is printed here.

const { succession, turns } = require('./record.js')

const ESCAPE = '\x1b['
const COLOURS = { red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36, dim: 2 }
const LANES = ['green', 'cyan', 'magenta', 'blue', 'yellow']

/** How a lane is drawn while its process is in a state. `holds` takes the colour of the lane. */
const STATES = {
  ready: ['·', 'dim'],
  rests: ['·', 'dim'],
  waits: ['─', 'dim'],
  holds: ['█'],
}

/** States that begin with an instant to be seen; after it the lane is empty. */
const MARKS = {
  killed: ['╳', 'red'],
  refused: ['┤', 'yellow'],
}

const EMPTY = [' ', 'dim']

const LEGEND = [
  ['───', 'dim', ' waits   '],
  ['███', 'green', ' holds   '],
  ['╳', 'red', ' killed while it holds   '],
  ['┤', 'yellow', ' refused'],
]

const WORDS = {
  ready: () => 'is ready',
  waits: () => 'waits',
  holds: (event, events) => `holds the lock${sinceKill(event, events)}`,
  rests: () => 'releases it',
  killed: () => 'is killed with SIGKILL while it holds the lock',
  refused: ({ message }) => `is refused: ${message}`,
  done: () => 'has ended',
}

/** A painter for terminals, and one for everything else. */
const painter = (colours) => (colours ? ansi : (text) => text)
const ansi = (text, colour) => (colour === undefined ? text : `${ESCAPE}${COLOURS[colour]}m${text}${ESCAPE}0m`)

/**
 * A lane per process, with time running to the right, and above them one for the lock, which says who holds it.
 *
 * @param scene `actors` in the order of their lanes; `events`; `until`: drawn up to this time; `span`: the time that
 * fits the width. Times are in milliseconds.
 */
function picture({ actors, events, until, span }, { width, paint }) {
  const labels = ['lock'.padEnd(labelWidth(actors)), ...actors.map((actor) => label(actor, actors, events))]
  const margin = ' '.repeat(labels[0].length)
  const columns = width - margin.length
  const scale = {
    columns,
    span,
    times: Array.from({ length: columns }, (_, column) => ((column + 0.5) * span) / columns),
  }
  const colourOf = (name) => LANES[actors.findIndex((actor) => actor.name === name) % LANES.length]

  const rows = [
    lockCells(events, until, scale, colourOf),
    ...actors.map(({ name }) => laneCells(events, name, until, scale, colourOf(name))),
  ]
  return [
    ...rows.map((cells, index) => `${labels[index]}${paintCells(cells, paint)}`),
    ...axis(scale).map((line) => `${margin}${paint(line, 'dim')}`),
    margin + LEGEND.map(([sample, colour, text]) => paint(sample, colour) + text).join(''),
  ].map((line) => line.trimEnd())
}

const pidWidth = (actors) => Math.max(0, ...actors.map(({ pid }) => String(pid).length))
const labelWidth = (actors) => 'A  '.length + pidWidth(actors) + '  refused '.length

function label({ name, pid }, actors, events) {
  const state = stateAt(events, name, Infinity) ?? ''
  return `${name}  ${String(pid).padStart(pidWidth(actors))}  ${state}`.padEnd(labelWidth(actors))
}

/** What the process was doing at that time: the last thing that it had begun. */
function stateAt(events, name, time) {
  return events.findLast((event) => event.name === name && event.at <= time)?.what
}

function lockCells(events, until, { times }, colourOf) {
  const held = turns(events)
  return times.map((time) => {
    const holders = time > until ? [] : held.filter(({ from, to }) => from <= time && time < to)
    if (holders.length > 1) return ['!', 'red']
    return holders.length === 1 ? [holders[0].name, colourOf(holders[0].name)] : EMPTY
  })
}

function laneCells(events, name, until, { times, columns, span }, colour) {
  const cells = times.map((time) => {
    const [glyph, own = colour] = (time <= until && STATES[stateAt(events, name, time)]) || EMPTY
    return [glyph, own]
  })
  for (const { what, at } of events.filter((event) => event.name === name && event.what in MARKS)) {
    cells[Math.min(columns - 1, Math.floor((at / span) * columns))] = MARKS[what]
  }
  return cells
}

/** Neighbours of one colour are painted in one go. */
function paintCells(cells, paint) {
  let line = ''
  for (let start = 0, end; start < cells.length; start = end) {
    const colour = cells[start][1]
    for (end = start; end < cells.length && cells[end][1] === colour; end++);
    const text = cells.slice(start, end).map(([glyph]) => glyph)
    line += paint(text.join(''), colour)
  }
  return line
}

/** A line with a tick for every second, and the seconds below. */
function axis({ columns, span }) {
  const line = Array(columns).fill('─')
  const numbers = Array(columns).fill(' ')
  for (let second = 0; second * 1000 < span; second++) {
    const column = Math.floor((second * 1000 * columns) / span)
    line[column] = second === 0 ? '└' : '┴'
    const text = `${second} s`
    if (column + text.length <= columns) numbers.splice(column, text.length, ...text)
  }
  return [line.join(''), numbers.join('')]
}

/** An event in words, with its time. */
function eventLines(event, events, width) {
  const who = `${(event.at / 1000).toFixed(3).padStart(6)} s  ${event.name} (${event.pid}) `
  return wrap(WORDS[event.what](event, events), width, who)
}

function sinceKill(event, events) {
  const found = succession(events)
  return found?.next === event ? `, ${found.wait.toFixed(1)} ms after the kill` : ''
}

/** What the show has shown, in a paragraph. */
function summary(events, width) {
  const held = turns(events)
  const { killed, next, wait } = succession(events)
  const refused = events.find(({ what }) => what === 'refused')
  const holders = new Set(held.map(({ name }) => name))
  const text =
    `${held.length} turns by ${holders.size} processes, and never two holders at once. ` +
    `${killed.name} (${killed.pid}) was killed while it held the lock: ${next.name} (${next.pid}), the next in line, ` +
    `had it ${wait.toFixed(1)} ms after the kill. ` +
    `${refused.name} (${refused.pid}) did not want to wait for long, and was refused: ${refused.message}`
  return wrap(text, width)
}

/** Lines of at most `width`, broken between words; a word that is longer than a line is cut. */
function wrap(text, width, prefix = '') {
  const room = width - prefix.length
  const pieces = text.match(new RegExp(`\\S.{0,${room - 1}}(?!\\S)|\\S{${room}}`, 'g')) ?? ['']
  return pieces.map((piece, index) => (index === 0 ? prefix : ' '.repeat(prefix.length)) + piece.trimEnd())
}

module.exports = { eventLines, painter, picture, summary, wrap }
