// The package imported by name into an ES module. Compiled, never run.

import * as everything from '@locket/native'
import locket, {
  type AcquireOptions,
  FileLock,
  type HeldLock,
  LockError,
  type LockFileOptions,
  type LockMode,
  LockTimeoutError,
  lockFile,
} from '@locket/native'

const mode: LockMode = 'shared'
const defaults: LockFileOptions = { mode }
const options: AcquireOptions = { ...defaults, timeout: 5000 }

await using lock: HeldLock = await lockFile(new URL('build.lock', import.meta.url)).acquire(options)

const isFileLock: boolean = lock instanceof FileLock
const sameFunction: typeof lockFile = everything.lockFile
const sameClass: typeof LockTimeoutError = locket.LockTimeoutError

try {
  await lock.run(() => isFileLock, { timeout: 0 })
} catch (error) {
  if (error instanceof LockTimeoutError) console.error(error.timeout, sameFunction, sameClass)
  else if (error instanceof LockError) console.error(error.code, error.path)
  else throw error
}

new FileLock(new URL('build.lock', import.meta.url), defaults)
// @ts-expect-error Not acquired: nothing is locked.
await using handle = lockFile('handle.lock')
console.error(handle)
// @ts-expect-error There is no such export.
everything.unlockFile('build.lock')
