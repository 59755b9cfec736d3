'use strict'

// The files that a storm is about, in its folder. neighbour.py knows their names too.

const fs = require('node:fs')
const path = require('node:path')

const { Counter } = require('./counter.js')

const lockOf = (folder, file) => path.join(folder, `${file}.lock`)
const counterOf = (folder, file) => path.join(folder, `${file}.counter`)

/** Another name of the same lock file. */
const aliasOf = (folder, file) => path.join(folder, `${file}.alias`)

/**
 * Is the lock file one that may be deleted on release? The last of several is. It has no other name, and is left to our
 * own package: others do not look whether the file that they have locked is still there.
 */
const isDeleted = (file, files) => files > 1 && file === files - 1

function createFiles(folder, files) {
  for (let file = 0; file < files; file++) {
    Counter.create(counterOf(folder, file))
    if (isDeleted(file, files)) continue
    fs.writeFileSync(lockOf(folder, file), '')
    fs.linkSync(lockOf(folder, file), aliasOf(folder, file))
  }
}

module.exports = { aliasOf, counterOf, createFiles, isDeleted, lockOf }
