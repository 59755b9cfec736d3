'use strict'

// What the recorded events prove.

/** From when to when each process held the lock: `{ name, from, to }`, in order. */
function turns(events) {
  return events
    .filter(({ what }) => what === 'holds')
    .map((start) => {
      const end = events.find((event, index) => event.name === start.name && index > events.indexOf(start))
      return { name: start.name, from: start.at, to: end?.at ?? Infinity }
    })
    .sort((a, b) => a.from - b.from)
}

/** The first two turns, if any, that overlap: two processes held the lock at once. */
function overlap(events) {
  let longest
  for (const turn of turns(events)) {
    if (longest && turn.from < longest.to) return [longest, turn]
    if (!longest || turn.to > longest.to) longest = turn
  }
  return undefined
}

/** The kill, who held the lock next, and how many milliseconds after the kill. */
function succession(events) {
  const killed = events.find(({ what }) => what === 'killed')
  const next = killed && events.find(({ what, at }) => what === 'holds' && at >= killed.at)
  return next && { killed, next, wait: next.at - killed.at }
}

module.exports = { turns, overlap, succession }
