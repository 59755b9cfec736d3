'use strict'

// The Web Locks API of newer versions of Node: names, not files, and only within one process.

const { spawnSync } = require('node:child_process')
const path = require('node:path')

const NODE24 = path.join(__dirname, `../node_modules/node-${process.platform}-${process.arch}/bin/node`)

/** The Node that runs the benchmark, if it has the API; else Node 24. */
const NODE = globalThis.navigator?.locks ? process.execPath : NODE24

module.exports = {
  name: 'navigator.locks',
  kind: 'memory',
  entry: NODE,
  node: NODE,
  version: () => `of Node.js ${spawnSync(NODE, ['--version'], { encoding: 'utf8' }).stdout.trim().slice(1)}`,
  open(file) {
    let release
    const acquire = (options) =>
      new Promise((resolve, reject) => {
        const held = () => {
          resolve()
          return new Promise((end) => {
            release = end
          })
        }
        navigator.locks.request(file, options, held).catch(reject)
      })
    return {
      acquire: () => acquire({}),
      acquireShared: () => acquire({ mode: 'shared' }),
      acquireUntil: (signal) => acquire({ signal }),
      release: () => release(),
    }
  },
  openRuns: (name) => (task) => navigator.locks.request(name, task),
  cannot: {
    loading: 'is part of Node itself',
  },
}
