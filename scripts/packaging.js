'use strict'

// Packs the package as it will be published, and installs it into empty projects: for tests of what users get.

const fs = require('node:fs')
const path = require('node:path')

const { output, root } = require('./packaging/run.js')
const { stageDropIn, stageMain, stagePostgres } = require('./packaging/stage.js')

const NAPI = path.join(root, 'node_modules/@napi-rs/cli/dist/cli.js')

/** Packs the package in `folder` into a tarball in `into`. Its path, and the files in it. */
function pack(folder, into) {
  const said = output('npm', ['pack', '--json', '--ignore-scripts', `--pack-destination=${into}`], folder)
  // Newer versions of npm answer with an object by the package's name, older ones with a list.
  const [{ filename, files }] = Object.values(JSON.parse(said))
  return { tarball: path.join(into, path.basename(filename)), files: files.map((file) => file.path).sort() }
}

/** The binary that is built here. */
function builtBinary() {
  const found = fs.readdirSync(root).filter((name) => /^locket\..*\.node$/.test(name))
  if (found.length !== 1) throw new Error(`There must be one built addon, but there is: ${found.join(', ') || 'none'}`)
  return found[0]
}

/** Packs the binary as a package of its own, whose package.json is the one that the napi CLI writes for publishing. */
function packBinary(into) {
  const work = path.join(into, 'platforms')
  fs.mkdirSync(work)
  fs.copyFileSync(path.join(root, 'package.json'), path.join(work, 'package.json'))
  output(process.execPath, [NAPI, 'create-npm-dirs', '--cwd', work], work)
  const binary = builtBinary()
  const folder = path.join(work, 'npm', binary.split('.')[1])
  fs.copyFileSync(path.join(root, binary), path.join(folder, binary))
  return pack(folder, into)
}

/** Packs the main package, without names of platforms (there is no registry), its binary, and the others into `folder`. */
function packAll(folder) {
  return {
    main: pack(stageMain(path.join(folder, 'main'), []), folder),
    binary: packBinary(folder),
    dropIn: pack(stageDropIn(path.join(folder, 'proper-lockfile')), folder),
    postgres: pack(stagePostgres(path.join(folder, 'postgres')), folder),
  }
}

/** Installs what is at `places` into the empty folder `project`. There are no dependencies, so no registry is asked. */
function install(project, places, options = []) {
  fs.writeFileSync(path.join(project, 'package.json'), JSON.stringify({ name: 'project', private: true }))
  const quiet = ['--offline', '--no-audit', '--no-fund', '--loglevel=error']
  output('npm', ['install', ...quiet, ...options, ...places], project)
}

/** The same with the tarballs of the main package and of a binary. */
const installInto = (project, { main, binary }, options) => install(project, [main.tarball, binary.tarball], options)

module.exports = { builtBinary, install, installInto, output, pack, packAll, root }
