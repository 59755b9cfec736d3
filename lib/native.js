'use strict'

// The native part. The generated loader (../native.js) finds it wherever it may be, but takes longer to be compiled than
// all else here takes together; so what mostly fits is tried first.

const ABI = { linux: '-gnu', win32: '-msvc' }

function load() {
  // The loader's own way to be told which file to take.
  if (process.env.NAPI_RS_NATIVE_LIBRARY_PATH) return require('../native.js')
  const platform = `${process.platform}-${process.arch}${ABI[process.platform] ?? ''}`
  for (const binary of [`../locket.${platform}.node`, `@locket/native-${platform}`]) {
    try {
      return require(binary)
    } catch {
      // Not there, or of another libc: the loader knows what to try, and what to say.
    }
  }
  return require('../native.js')
}

/** What this thread may call of it. */
module.exports = load().open()
