'use strict'

/** The items in a random order. */
function shuffled(items) {
  const result = [...items]
  for (let last = result.length - 1; last > 0; last--) {
    const chosen = Math.floor(Math.random() * (last + 1))
    ;[result[last], result[chosen]] = [result[chosen], result[last]]
  }
  return result
}

module.exports = { shuffled }
