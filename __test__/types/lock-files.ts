// The types of lockFiles(), as users use them. Compiled, never run: `npx tsc -p __test__/types`.

import {
  type FileLock,
  type FileLocks,
  type HeldLocks,
  type LockFileOptions,
  type LockFilesPath,
  type LockHolder,
  type LockMode,
  type LockPath,
  lockFiles,
} from '@locket/native'

import { same } from './same'

same<LockFilesPath, LockPath | { path: LockPath; mode?: LockMode | undefined }>(true)
same<Parameters<typeof lockFiles>, [paths: readonly LockFilesPath[], options?: LockFileOptions | undefined]>(true)
same<ReturnType<typeof lockFiles>, FileLocks>(true)
/** All methods of a FileLock but breakLock, with the same arguments. */
same<Exclude<keyof FileLock, keyof FileLocks>, 'path' | 'breakLock'>(true)
same<Parameters<FileLocks['acquire']>, Parameters<FileLock['acquire']>>(true)
same<Parameters<FileLocks['acquireSync']>, Parameters<FileLock['acquireSync']>>(true)
same<FileLocks['tryAcquire'], FileLock['tryAcquire']>(true)
same<FileLocks['tryAcquireSync'], FileLock['tryAcquireSync']>(true)

export function making(mode: LockMode) {
  lockFiles(['a', Buffer.from('b'), new URL('file:///c'), { path: 'd' }, { path: new Uint8Array([0x61]), mode }])
  lockFiles(['a', { path: 'b', mode: 'shared' }], { timeout: 5, protocol: 'mkdir' })
  lockFiles(['a', 'b'] as const)
  lockFiles([{ path: 'a', mode: undefined }], {})

  // @ts-expect-error Paths are needed.
  lockFiles()
  // @ts-expect-error They are an array.
  lockFiles('a')
  // @ts-expect-error They are one argument.
  lockFiles('a', 'b')
  // @ts-expect-error There is no such mode.
  lockFiles([{ path: 'a', mode: 'write' }])
  // @ts-expect-error A file has a path.
  lockFiles([{ mode: 'shared' }])
  // @ts-expect-error The timeout is for all files.
  lockFiles([{ path: 'a', timeout: 5 }])
}

export async function using(locks: FileLocks, signal: AbortSignal) {
  same<typeof locks.paths, readonly string[]>(true)
  same<typeof locks.held, boolean>(true)
  same<typeof locks.lost, AbortSignal>(true)
  // @ts-expect-error Fixed when the handle is made.
  locks.paths.push('c')
  await using first = await locks.acquire({ timeout: 5, mode: 'shared', signal })
  same<typeof first, HeldLocks>(true)
  using second = locks.acquireSync(5)
  same<typeof second, HeldLocks>(true)
  // @ts-expect-error Not acquired: nothing is locked.
  using handle = lockFiles(['a'])
  const result = await locks.run((held) => {
    same<typeof held, HeldLocks>(true)
    return 1
  }, 5)
  same<typeof result, number>(true)
  const holders = await locks.holders()
  same<typeof holders, LockHolder[] | undefined>(true)
  const isLocked = await locks.isLocked()
  same<typeof isLocked, boolean>(true)
  locks.release()
  return [first, second, handle].length
}
