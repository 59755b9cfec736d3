'use strict'

// Choices that are the same for the same seed. What they lead to is not: that is up to the scheduler.

const { createHash } = require('node:crypto')

/** A source of choices of its own for each thread and task: named by `parts`, the first of which is the seed. */
function randomOf(...parts) {
  const seed = createHash('sha256').update(parts.join(':')).digest()
  let [a, b, c, counter] = [0, 4, 8, 12].map((at) => seed.readInt32LE(at))

  /** From 0 up to, and without, 1. By sfc32, of PractRand. */
  function next() {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return (sum >>> 0) / 2 ** 32
  }
  const below = (limit) => Math.floor(next() * limit)
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    pick: (list) => list[below(list.length)],
    /** How long until the next of events that come every `mean` on average, but three times that at most. */
    interval: (mean) => Math.min(3 * mean, -mean * Math.log(1 - next())),
  }
}

module.exports = { randomOf }
