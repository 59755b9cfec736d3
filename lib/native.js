'use strict'

// Loads the native part. The generated loader (../native.js) finds it on every platform, but compiling that loader takes
// longer than everything else here; so the usual places are tried first.

const { resolve } = require('node:path')

/** The endings of the names of binaries. Of the two for Linux, only the one for the C library of this process loads. */
const ABIS = { linux: ['-gnu', '-musl'], win32: ['-msvc'] }

/** The file to load, by the generated loader's own variable. The loaders of other packages read the same variable. */
const { NAPI_RS_NATIVE_LIBRARY_PATH: named } = process.env

function load() {
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
    const addon = attempt(named, named.startsWith('.') ? resolve(__dirname, '..', named) : named)
    if (failures.length > 0) throw require('./missing-binary.js').describeNamed(named, failures[0].error)
    if (isOurs(addon)) return addon
  }
  for (const abi of ABIS[process.platform] ?? ['']) {
    const platform = `${process.platform}-${process.arch}${abi}`
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
const native = load().open()

// Not on the main thread: loading node:worker_threads takes longer than loading this package.
if (!native.isFirstThread) native.identify(require('node:worker_threads').threadId)

module.exports = native
