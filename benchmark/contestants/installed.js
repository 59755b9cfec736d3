'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const BENCHMARK = path.join(__dirname, '..')

/**
 * Returns open(file, options), which makes a handle. `prepare` returns it, and is called when the first handle is made: no
 * row that makes many pays for more than the handle. The options are those of the package; the adapter has the usual ones.
 */
function opener(prepare) {
  let open
  return (file, options) => {
    open ??= prepare()
    return open(file, options)
  }
}

/** Returns `file`, which exists then: some calls do not create it. */
function created(file) {
  fs.closeSync(fs.openSync(file, 'a'))
  return file
}

/**
 * What an adapter needs of a peer, a package of the benchmark's package.json.
 *
 * Nothing of it is loaded before load() is called: a trial's process loads its own contestant and no other.
 */
function installed(name) {
  const entry = path.join(BENCHMARK, 'node_modules', name)
  return {
    name,
    /** The folder that must be there, and that users pass to require(). */
    entry,
    load: () => require(entry),
    version: () => JSON.parse(fs.readFileSync(path.join(entry, 'package.json'), 'utf8')).version,
    /** Its folder, and those of all its dependencies. */
    paths() {
      const found = execFileSync('npm', ['query', `#${name}, #${name} *`], { cwd: BENCHMARK, encoding: 'utf8' })
      const folders = JSON.parse(found).map((each) => each.path)
      return folders.filter((folder) => !folders.some((other) => folder.startsWith(`${other}/`)))
    },
  }
}

module.exports = { created, installed, opener }
