'use strict'

// What is published: the main package, with its JavaScript bundled and a package.json of its own, a package for each
// platform, as `npm run prebuilds` makes them, and the packages in packages/.

const fs = require('node:fs')
const path = require('node:path')

const platforms = require('../prebuilds/platforms.js')
const { repositoryOf, withLinks } = require('./links.js')
const { output, root } = require('./run.js')
const manifest = require('../../package.json')

/** The platforms that there are to be binaries for. */
const PLATFORMS = Object.keys(platforms.PLATFORMS)

/** Is a file a binary that is built here? Those who use a clone get it by `npm pack`; nothing published has one. */
const isBuiltHere = (file) => file.endsWith('.node')

const nameOf = (platform) => `${manifest.name}-${platform}`
const fileOf = platforms.binaryOf

/**
 * The package.json that users get: without what only a clone can use, and with the platform packages. They are optional,
 * since one of them fits each platform, and of the very version of the main package, since only these two fit together.
 */
function publishedManifest(platforms) {
  const { devDependencies, napi, overrides, scripts, workspaces, ...kept } = manifest
  const optionalDependencies = Object.fromEntries(platforms.map((each) => [nameOf(each), manifest.version]))
  const files = manifest.files.filter((entry) => !isBuiltHere(entry))
  return { ...kept, files, ...(platforms.length > 0 && { optionalDependencies }) }
}

/** Copies a file of the clone. `files`: those that are published beside it, for the links of a page. */
function copy(file, into, name, files) {
  const [from, to] = [path.join(root, file), path.join(into, name)]
  if (!file.endsWith('.md')) return fs.cpSync(from, to)
  fs.mkdirSync(path.dirname(to), { recursive: true })
  fs.writeFileSync(to, withLinks(fs.readFileSync(from, 'utf8'), { file, files, repository: repositoryOf(manifest) }))
}

/**
 * Puts the main package as it is published into the folder `into`: the files that npm packs, except for binaries, with the
 * package.json above.
 */
function stageMain(into, platforms) {
  const [{ files }] = Object.values(
    JSON.parse(output('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], root)),
  )
  if (!files.some(({ path: file }) => file === manifest.main)) {
    throw new Error(`${manifest.main} is missing: \`npm run bundle\` makes it`)
  }
  const published = files.map((file) => file.path).filter((file) => !isBuiltHere(file))
  for (const file of published) copy(file, into, file, published)
  fs.writeFileSync(path.join(into, 'package.json'), `${JSON.stringify(publishedManifest(platforms), null, 2)}\n`)
  return into
}

/** Puts a package of packages/ as it is published into the folder `into`: of the version of the main package, without scripts. */
function stageBeside(folder, into, dependencies) {
  const from = path.join(root, 'packages', folder)
  const { name, version, scripts, devDependencies, ...own } = JSON.parse(
    fs.readFileSync(path.join(from, 'package.json'), 'utf8'),
  )
  for (const file of own.files) fs.cpSync(path.join(from, file), path.join(into, file), { recursive: true })
  copy(`packages/${folder}/README.md`, into, 'README.md', [])
  copy('LICENSE', into, 'LICENSE', [])
  const staged = { name, version: manifest.version, ...own, dependencies }
  fs.writeFileSync(path.join(into, 'package.json'), `${JSON.stringify(staged, null, 2)}\n`)
  return into
}

/** Stages the package whose root is `@locket/native/proper-lockfile`: for the very version of the main package. */
const stageDropIn = (into) => stageBeside('proper-lockfile', into, { [manifest.name]: manifest.version })

/** Stages the package of the lock that PostgreSQL keeps. It needs no other of these packages. */
const stagePostgres = (into) => stageBeside('postgres', into)

/** What is wrong with the package of a platform in `folder`, in words. */
function problemOf(platform, folder) {
  const file = path.join(folder, 'package.json')
  if (!fs.existsSync(file)) return `${file} is missing`
  const { name, version } = JSON.parse(fs.readFileSync(file, 'utf8'))
  if (name !== nameOf(platform)) return `${file} is of ${name}, not of ${nameOf(platform)}`
  if (version !== manifest.version) return `${nameOf(platform)} is of version ${version}, not ${manifest.version}`
  const binary = path.join(folder, fileOf(platform))
  return fs.statSync(binary, { throwIfNoEntry: false })?.size > 0 ? undefined : `${binary} is missing or empty`
}

/** The folders of the platforms' packages below `npm`. Throws if any of them is not what the main package needs. */
function platformFolders(npm, platforms) {
  const folders = platforms.map((platform) => path.join(npm, platform))
  const problems = platforms.map((platform, i) => problemOf(platform, folders[i])).filter(Boolean)
  if (problems.length > 0) throw new Error(`This cannot be published:\n- ${problems.join('\n- ')}`)
  return folders
}

module.exports = { fileOf, nameOf, PLATFORMS, platformFolders, stageDropIn, stageMain, stagePostgres }
