'use strict'

/** The one among `all` whose `key` is `value`; `what` they are is for the error that says what there is. */
function pick(all, key, value, what) {
  const found = all.find((each) => each[key] === value)
  if (!found) throw new Error(`no ${what} is called ${value}; there are: ${all.map((each) => each[key]).join(', ')}`)
  return found
}

module.exports = { pick }
