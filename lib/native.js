'use strict'

// Loads the native part: from where package managers put it, else from where require() finds it. Searching takes as long
// as the rest of loading this package.

/**
 * The endings of the names of binaries, where there are any. Of the two for Linux, only the one for the C library of this
 * process loads.
 */
const ABIS = { 'linux-arm': ['-gnueabihf', '-musleabihf'], linux: ['-gnu', '-musl'], win32: ['-msvc'] }

/** The file to load, by the variable that napi-rs has for that. The loaders of other packages read the same variable. */
const { NAPI_RS_NATIVE_LIBRARY_PATH: named } = process.env

/** Returns the names of the binaries to try, as they stand in those of files and packages. */
function platforms() {
  const { platform, arch } = process
  const here = `${platform}-${arch}`
  return (ABIS[here] ?? ABIS[platform] ?? ['']).map((abi) => here + abi)
}

/** Returns the addon if its binary is in one of the usual places. */
function open() {
  for (const platform of platforms()) {
    const file = `locket.${platform}.node`
    const binary = `@locket/native-${platform}/${file}`
    // A clone has it beside package.json. Package managers put its package below this one, or else beside it, and require()
    // looks there in this order.
    const addon = openFile(file) ?? openFile(`node_modules/${binary}`) ?? openFile(`../../${binary}`)
    if (addon !== undefined) return addon
  }
  return undefined
}

/** Returns the addon in a file, by its path from the folder of this package. */
function openFile(file) {
  const addon = { exports: {} }
  try {
    process.dlopen(addon, `${__dirname}/../${file}`)
  } catch {
    // search() says why. Or there is no __dirname: the code was bundled as an ES module.
    return undefined
  }
  return addon.exports
}

/** Returns the addon that require() finds, or throws the error that explains why there is none. */
function search() {
  // Bundled as an ES module, it has no folder.
  const folder = typeof __dirname === 'undefined' ? '/' : __dirname
  // Not by the name require: a bundler would take it for its own, and warn that it cannot know what is loaded. And in a
  // single executable application that one has only the modules of Node.
  const load = require('node:module').createRequire(`${folder}/`)
  const failures = []
  const attempt = (binary, path = binary) => {
    try {
      const addon = load(path)
      return isOurs(addon) ? addon : undefined
    } catch (error) {
      failures.push({ binary, error })
      return undefined
    }
  }

  if (named) {
    const addon = attempt(named, named.startsWith('.') ? require('node:path').resolve(folder, '..', named) : named)
    if (failures.length > 0) throw require('./missing-binary.js').describeNamed(named, failures[0].error)
    if (addon !== undefined) return addon
  }
  for (const platform of platforms()) {
    const file = `locket.${platform}.node`
    // The second place is beside a bundle.
    const addon = attempt(`../${file}`) ?? attempt(`./${file}`)
    if (addon !== undefined) return addon
  }
  for (const platform of platforms()) {
    const addon = require('./binaries.js')(platform, failures)
    if (addon !== undefined) return addon
  }
  throw require('./missing-binary.js').describe(failures, load, platforms())
}

/** Returns true for our own addon: those of other packages have other functions, or more. */
const isOurs = (addon) => Object.keys(addon ?? {}).join() === 'open' && typeof addon.open === 'function'

/** The functions of the native part for this environment: the `NativeApi` of native.d.ts. */
const native = ((named ? undefined : open()) ?? search()).open()

// Not on the main thread: loading node:worker_threads takes longer than loading this package.
if (!native.isFirstThread) native.identify(require('node:worker_threads').threadId)

module.exports = native
