'use strict'

// Loads the native part: from where package managers put it, else from where require() finds it, else by the generated
// loader (../native.js). Searching takes as long as the rest of loading this package, and compiling the generated loader
// longer than everything else.

/** The endings of the names of binaries. Of the two for Linux, only the one for the C library of this process loads. */
const ABIS = { linux: ['-gnu', '-musl'], win32: ['-msvc'] }

/** The file to load, by the generated loader's own variable. The loaders of other packages read the same variable. */
const { NAPI_RS_NATIVE_LIBRARY_PATH: named } = process.env

/** Returns the names of the binaries to try, as they stand in those of files and packages. */
const platforms = () => (ABIS[process.platform] ?? ['']).map((abi) => `${process.platform}-${process.arch}${abi}`)

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
  const failures = []
  const attempt = (binary, path = binary) => {
    try {
      return require(path)
    } catch (error) {
      failures.push({ binary, error })
      return undefined
    }
  }

  if (named) {
    const addon = attempt(named, named.startsWith('.') ? require('node:path').resolve(__dirname, '..', named) : named)
    if (failures.length > 0) throw require('./missing-binary.js').describeNamed(named, failures[0].error)
    if (isOurs(addon)) return addon
  }
  for (const platform of platforms()) {
    for (const binary of [`../locket.${platform}.node`, `@locket/native-${platform}`]) {
      const addon = attempt(binary)
      if (addon !== undefined) return addon
    }
  }
  // With the variable set, it would find the addon of the other package again.
  const addon = named ? undefined : attempt('../native.js')
  if (addon !== undefined) return addon
  throw require('./missing-binary.js').describe(failures)
}

/** Returns true for our own addon: those of other packages have other functions, or more. */
function isOurs(addon) {
  const names = Object.keys(addon ?? {}).filter((name) => name !== '__napiBindingTarget')
  return names.length === 1 && typeof addon.open === 'function'
}

/** The functions of the native part for this environment: the `NativeApi` of native.d.ts. */
const native = ((named ? undefined : open()) ?? search()).open()

// Not on the main thread: loading node:worker_threads takes longer than loading this package.
if (!native.isFirstThread) native.identify(require('node:worker_threads').threadId)

module.exports = native
