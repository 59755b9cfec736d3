'use strict'

// The native part. The generated loader (../native.js) finds it wherever it may be, but takes longer to be compiled than
// all else here takes together; so what mostly fits is tried first.

const { resolve } = require('node:path')

/** What the names of binaries end with. Of the two for Linux only the one for the C library of this process loads. */
const ABIS = { linux: ['-gnu', '-musl'], win32: ['-msvc'] }

/** The generated loader's own way to be told which file to take. Those of other packages read the same variable. */
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
  // It would only find the addon of somebody else again.
  const addon = named ? undefined : attempt('../native.js')
  if (addon !== undefined) return addon
  throw require('./missing-binary.js').describe(failures)
}

/** Returns true for our own addon: another package's has other functions, or more. */
function isOurs(addon) {
  const names = Object.keys(addon ?? {}).filter((name) => name !== '__napiBindingTarget')
  return names.length === 1 && typeof addon.open === 'function'
}

/** What this thread may call of it. */
const native = load().open()

// Not for the main thread, where node:worker_threads takes longer to load than all of this package.
if (!native.isFirstThread) native.identify(require('node:worker_threads').threadId)

module.exports = native
