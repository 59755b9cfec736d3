'use strict'

// This clone, as its README says.

const fs = require('node:fs')
const path = require('node:path')

const ROOT = path.join(__dirname, '../..')
const { name, version, files } = require(path.join(ROOT, 'package.json'))

const load = () => require(ROOT)

/** What a user has on the disk: the files of the package, and of the binaries that of the user's own platform. */
function paths() {
  const binaries = fs.readdirSync(ROOT).filter((entry) => entry.endsWith('.node'))
  const named = files.filter((entry) => !entry.includes('*'))
  return [...named, ...binaries, 'package.json', 'README.md', 'LICENSE'].map((entry) => path.join(ROOT, entry))
}

module.exports = {
  name,
  kind: 'kernel',
  version: () => version,
  entry: ROOT,
  paths,
  open(file) {
    const lock = load().lockFile(file)
    return {
      acquire: () => lock.acquire(),
      acquireWithin: (timeout) => lock.acquire({ timeout }),
      release: () => lock.release(),
      acquireSync: () => lock.acquireSync(),
      releaseSync: () => lock.release(),
      holders: () => lock.holders(),
    }
  },
}
