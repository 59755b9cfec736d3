'use strict'

// What nobody can be faster than (see ../floor): no lock to use, but the parts that every lock needs.
//
// The six system calls are those of a lock done properly: open, fstat, flock, stat of the path (does it still name the file
// that was locked?), flock to unlock, close.

const path = require('node:path')

const { created } = require('./installed.js')

const load = () => require(path.join(__dirname, '../floor/floor.node'))

const floor = (name, rows, abilities) => ({
  name: `floor: ${name}`,
  kind: 'floor',
  rows,
  version: () => undefined,
  ...abilities,
})

/** Parts that the crate in ../floor has. */
const part = (name, row, open) => floor(name, [row], { needs: 'floor', open })

/** All of acquire and release is one round trip. */
function trips(file) {
  let arrived
  const thread = new (load().RoundTrip)((failure) => arrived(failure), file)
  return {
    acquire: () =>
      new Promise((resolve, reject) => {
        arrived = (failure) => (failure ? reject(new Error(failure)) : resolve())
        thread.depart()
      }),
    release() {},
  }
}

/** The floor has a loop of its own, without JavaScript. */
const loop = (name) => (file) => {
  const existing = created(file)
  return { turnsSync: (count) => load()[name](existing, count) }
}

module.exports = [
  part('thread round trip', 'uncontended-async', () => trips()),
  part('thread round trip + 6 system calls', 'uncontended-async', (file) => trips(created(file))),
  part('6 system calls', 'uncontended-sync', loop('lockProperly')),
  part('open + flock + close', 'uncontended-sync', loop('lockBarely')),
  floor('node -e 0', ['command'], { command: () => [process.execPath, '-e', '0'] }),
]
