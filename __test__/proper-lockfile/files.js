'use strict'

// Files to lock by proper-lockfile's functions, and the lock entries beside them.

const fs = require('node:fs')
const path = require('node:path')

const { temporaryFolder } = require('../support/folders.js')

/** A file, and the path of its lock entry. */
function lockable(t) {
  const file = path.join(temporaryFolder(t), 'data.json')
  fs.writeFileSync(file, '')
  return { file, entry: `${file}.lock` }
}

/** A file with a symbolic link to it. */
function linked(t) {
  const { file, entry } = lockable(t)
  const link = path.join(path.dirname(file), 'link.json')
  fs.symlinkSync(file, link)
  return { file, entry, link }
}

/** Makes the lock entry of somebody else, which was renewed so many milliseconds ago. */
function leave(entry, age) {
  fs.mkdirSync(entry)
  setAge(entry, age)
}

function setAge(entry, age) {
  const time = new Date(Date.now() - age)
  fs.utimesSync(entry, time, time)
}

const isThere = (entry) => fs.existsSync(entry)

module.exports = { isThere, leave, linked, lockable, setAge }
