'use strict'

// Loaded into an example before it runs (node --expose-gc --require): says "collected" when the garbage collector has
// taken the first handle that was made.

const native = require('@locket/native')

const { lockFile } = native

native.lockFile = (...args) => {
  const handle = lockFile(...args)
  native.lockFile = lockFile
  const reference = new WeakRef(handle)
  const timer = setInterval(() => {
    globalThis.gc()
    if (reference.deref() !== undefined) return
    clearInterval(timer)
    console.log('collected')
  }, 1)
  return handle
}
