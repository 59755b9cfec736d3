'use strict'

// Makes the man page of the command and its completions, which are published in dist/.

const fs = require('node:fs')
const path = require('node:path')

const { version } = require('../package.json')
const completions = require('./manual/completions.js')
const { manPage } = require('./manual/man-page.js')

const FILES = {
  'locket.1': () => manPage(version),
  'completions/locket.bash': completions.bash,
  'completions/_locket': completions.zsh,
  'completions/locket.fish': completions.fish,
}

/** Writes them into a folder. */
function writeManual(folder) {
  for (const [name, make] of Object.entries(FILES)) {
    const file = path.join(folder, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, make())
  }
}

module.exports = { MANUAL: Object.keys(FILES), writeManual }
