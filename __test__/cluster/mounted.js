'use strict'

const fs = require('node:fs')

/** The type of the file system that is mounted at a folder; undefined if the folder is part of another. */
function mountedAt(folder) {
  const mounts = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n')
  return mounts.map((line) => line.split(' ')).findLast(([, at]) => at === folder)?.[2]
}

module.exports = { mountedAt }
