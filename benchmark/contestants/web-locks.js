'use strict'

// The Web Locks API of newer Nodes: names, not files, and of one process.

const { nodeVersion } = require('../nodes.js')

module.exports = {
  name: 'navigator.locks',
  kind: 'memory',
  peer: 'node24',
  node: 'node24',
  version: () => `of Node.js ${nodeVersion('node24')}`,
  open(file) {
    let release
    return {
      acquire: () =>
        new Promise((resolve, reject) => {
          const held = () => {
            resolve()
            return new Promise((end) => {
              release = end
            })
          }
          navigator.locks.request(file, held).catch(reject)
        }),
      release: () => release(),
    }
  },
  cannot: {
    loading: 'is part of Node itself',
  },
}
