'use strict'

// What nobody can be faster than (see ../floor): no lock to use, but the parts that one cannot do without.
//
// The six system calls are those of a lock done properly: open, fstat, flock, stat of the path (does it still name the file
// that was locked?), flock to unlock, close.

const fs = require('node:fs')
const path = require('node:path')

const load = () => require(path.join(__dirname, '../floor/floor.node'))

function floor(name, rows, open) {
  return { name: `floor: ${name}`, kind: 'floor', rows, needs: 'floor', version: () => undefined, open }
}

/** An empty file, for calls that do not create it. */
function created(file) {
  fs.closeSync(fs.openSync(file, 'a'))
  return file
}

/** All of acquire and release is one round trip. */
function trips(file) {
  const thread = new (load().RoundTrip)(file)
  return { acquire: () => thread.travel(), release() {} }
}

module.exports = [
  floor('thread round trip', ['uncontended-async'], () => trips()),
  floor('thread round trip + 6 system calls', ['uncontended-async'], (file) => trips(created(file))),
  floor('6 system calls', ['uncontended-sync'], (file) => {
    created(file)
    return { turnsSync: (count) => load().lockProperly(file, count) }
  }),
  floor('open + flock + close', ['uncontended-sync'], (file) => {
    created(file)
    return { turnsSync: (count) => load().lockBarely(file, count) }
  }),
]
