'use strict'

// The native part. The generated loader (../native.js) finds it wherever it may be, but takes longer to be compiled than
// all else here takes together; so what mostly fits is tried first.

/** What the names of binaries end with. Of the two for Linux only the one for the C library of this process loads. */
const ABIS = { linux: ['-gnu', '-musl'], win32: ['-msvc'] }

function load() {
  // The loader's own way to be told which file to take.
  if (process.env.NAPI_RS_NATIVE_LIBRARY_PATH) return require('../native.js')
  for (const abi of ABIS[process.platform] ?? ['']) {
    const platform = `${process.platform}-${process.arch}${abi}`
    for (const binary of [`../locket.${platform}.node`, `@locket/native-${platform}`]) {
      try {
        return require(binary)
      } catch {
        // Not there, or of another libc.
      }
    }
  }
  try {
    return require('../native.js')
  } catch (error) {
    throw require('./missing-binary.js').describe(error)
  }
}

/** What this thread may call of it. */
const native = load().open()

// Not for the main thread, where node:worker_threads takes longer to load than all of this package.
if (!native.isFirstThread) native.identify(require('node:worker_threads').threadId)

module.exports = native
