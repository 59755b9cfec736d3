// The public types, as users use them. Compiled, never run: `npx tsc -p __test__/types`.

import {
  type AcquireOptions,
  type AcquireSyncOptions,
  FileLock,
  type HeldLock,
  type LockFileOptions,
  type LockHolder,
  type LockInfo,
  type LockMode,
  type LockPath,
  type LockProtocol,
  type LockTimeoutError,
  lockFile,
  query,
  type TryAcquireOptions,
  type TryAcquireSyncOptions,
} from '@locket/native'

import { same } from './same'

same<LockMode, 'exclusive' | 'shared'>(true)
same<LockPath, string | Uint8Array | URL>(true)

/** The properties of an options type, written out. */
type Flat<T> = { [K in keyof T]: T[K] }
same<
  Flat<AcquireOptions>,
  { mode?: LockMode | undefined; timeout?: number | undefined; signal?: AbortSignal | undefined }
>(true)
same<Flat<AcquireSyncOptions>, { mode?: LockMode | undefined; timeout?: number | undefined }>(true)
same<Flat<TryAcquireOptions>, { mode?: LockMode | undefined; signal?: AbortSignal | undefined }>(true)
same<Flat<TryAcquireSyncOptions>, { mode?: LockMode | undefined }>(true)
same<
  LockFileOptions,
  {
    timeout?: number | undefined
    mode?: LockMode | undefined
    fileMode?: number | undefined
    removeOnRelease?: boolean | undefined
    allowDirectory?: boolean | undefined
    protocol?: LockProtocol | undefined
    stale?: number | undefined
    update?: number | undefined
  }
>(true)
same<
  LockProtocol,
  | 'flock'
  | 'fcntl'
  | 'proper-lockfile'
  | 'lockfile'
  | 'soft-file'
  | 'link'
  | 'mkdir'
  | 'symlink'
  | 'pid-file'
  | 'dotlock'
>(true)
same<Parameters<typeof lockFile>, [path: LockPath, options?: LockFileOptions | undefined]>(true)
same<ConstructorParameters<typeof FileLock>, Parameters<typeof lockFile>>(true)
same<ReturnType<typeof lockFile>, FileLock>(true)

export function making() {
  lockFile('build.lock')
  lockFile(Buffer.from('build.lock'))
  lockFile(new Uint8Array([0x61]))
  new FileLock('build.lock')
  new FileLock('build.lock', { timeout: 5 })
  lockFile(new URL('file:///tmp/build.lock'))
  lockFile('build.lock', {})
  lockFile('build.lock', {
    timeout: 30_000,
    mode: 'shared',
    fileMode: 0o600,
    removeOnRelease: true,
    allowDirectory: true,
  })
  lockFile('build.lock', { protocol: 'proper-lockfile', stale: 5000, update: 1000 })
  lockFile('build.lock', { protocol: undefined, stale: undefined, update: undefined })

  // @ts-expect-error There is no such protocol.
  lockFile('build.lock', { protocol: 'lockf' })
  // @ts-expect-error Milliseconds, as a number.
  lockFile('build.lock', { protocol: 'lockfile', stale: '5s' })
  // @ts-expect-error A path is needed.
  lockFile()
  // @ts-expect-error A descriptor is no path.
  lockFile(3)
  // @ts-expect-error A signal is for one wait, not for a handle.
  lockFile('build.lock', { signal: AbortSignal.timeout(5) })
  // @ts-expect-error There is no such mode.
  lockFile('build.lock', { mode: 'write' })
  // @ts-expect-error Milliseconds, as a number.
  lockFile('build.lock', { timeout: '5s' })
  // @ts-expect-error Bits, as a number.
  lockFile('build.lock', { fileMode: '644' })
  // @ts-expect-error A path is needed.
  new FileLock()
  // @ts-expect-error The timeout of a handle stands in its options.
  lockFile('build.lock', 5000)
  return class extends FileLock {}
}

export function properties(lock: FileLock) {
  same<typeof lock.path, string>(true)
  same<typeof lock.held, boolean>(true)
  same<typeof lock.lost, AbortSignal>(true)
  // @ts-expect-error Fixed when the handle is made.
  lock.path = 'elsewhere.lock'
  // @ts-expect-error Told, not set.
  lock.held = true
  // @ts-expect-error Told, not set.
  lock.lost = AbortSignal.abort()
}

export async function acquiring(lock: FileLock, signal: AbortSignal, mode: LockMode) {
  const held = await lock.acquire()
  same<typeof held, HeldLock>(true)
  const handle: FileLock = held
  await handle.acquire(0)
  await lock.acquire({ timeout: 0 })
  await lock.acquire({ timeout: Infinity, mode, signal })
  await lock.acquire({ timeout: undefined, mode: undefined, signal: undefined })
  ;(await lockFile('build.lock').acquire({ mode: 'shared' })).release()

  const options: AcquireOptions = { timeout: 5000 }
  options.signal = signal
  await lock.acquire(options)

  // @ts-expect-error There is no such mode.
  await lock.acquire({ mode: 'write' })
  // @ts-expect-error Any string is not a mode.
  await lock.acquire({ mode: String(mode) })
  // @ts-expect-error Not an option of acquiring.
  await lock.acquire({ fileMode: 0o600 })
  // @ts-expect-error The signal is an option.
  await lock.acquire(signal)
  // @ts-expect-error Milliseconds, as a number.
  await lock.acquire('5s')
  // @ts-expect-error The signal itself, not its controller.
  await lock.acquire({ signal: new AbortController() })
  // @ts-expect-error null is no timeout.
  await lock.acquire({ timeout: null })
  // @ts-expect-error A promise is not the lock yet.
  const early: FileLock = lock.acquire()
  // @ts-expect-error A promise has nothing to release.
  lock.acquire().release()
  return early
}

export function acquiringSync(lock: FileLock, signal: AbortSignal) {
  same<ReturnType<typeof lock.acquireSync>, HeldLock>(true)
  lock.acquireSync().release()
  lock.acquireSync(100).release()
  lock.acquireSync({ timeout: 100, mode: 'shared' }).release()

  // @ts-expect-error Nothing can fire while the thread is blocked.
  lock.acquireSync({ signal })
  // @ts-expect-error There is no such mode.
  lock.acquireSync({ mode: 'read' })
}

export async function trying(lock: FileLock, signal: AbortSignal) {
  same<ReturnType<typeof lock.tryAcquire>, Promise<boolean>>(true)
  same<ReturnType<typeof lock.tryAcquireSync>, boolean>(true)
  if (await lock.tryAcquire()) lock.release()
  if (await lock.tryAcquire({ mode: 'shared', signal })) lock.release()
  if (lock.tryAcquireSync()) lock.release()
  if (lock.tryAcquireSync({ mode: 'exclusive' })) lock.release()

  // @ts-expect-error Not awaited: a promise is always true.
  if (lock.tryAcquire()) lock.release()
  // @ts-expect-error A try has no timeout.
  await lock.tryAcquire({ timeout: 5 })
  // @ts-expect-error A try has no timeout.
  await lock.tryAcquire(5)
  // @ts-expect-error A try has no timeout.
  lock.tryAcquireSync({ timeout: 5 })
  // @ts-expect-error Nothing can fire while the thread is blocked.
  lock.tryAcquireSync({ signal })
}

export async function asking(lock: FileLock) {
  same<ReturnType<typeof lock.isLocked>, Promise<boolean>>(true)
  if (await lock.isLocked()) return 'busy'
  // @ts-expect-error Not awaited: a promise is always true.
  if (lock.isLocked()) return 'busy'
  // @ts-expect-error It takes no options.
  await lock.isLocked({ mode: 'shared' })
}

export async function breaking(lock: FileLock) {
  same<ReturnType<typeof lock.breakLock>, Promise<boolean>>(true)
  if (await lock.breakLock()) return 'broken'
  // @ts-expect-error It takes no options.
  await lock.breakLock({ timeout: 5 })
}

export function releasing(lock: FileLock) {
  same<ReturnType<typeof lock.release>, void>(true)
  lock.release()
  // @ts-expect-error There is nothing to await or to use.
  const released: boolean = lock.release()
  return released
}

export async function running(lock: FileLock, signal: AbortSignal) {
  const synchronous = await lock.run(() => 1)
  same<typeof synchronous, number>(true)
  const asynchronous = await lock.run(async () => 'built')
  same<typeof asynchronous, string>(true)
  const thenable = await lock.run((): PromiseLike<Date> => Promise.resolve(new Date()))
  same<typeof thenable, Date>(true)
  const nothing = await lock.run(() => {}, { timeout: 30_000, mode: 'shared', signal })
  same<typeof nothing, void>(true)
  await lock.run((own) => {
    same<typeof own, HeldLock>(true)
    own.release()
  }, 30_000)

  // @ts-expect-error A task is needed.
  await lock.run()
  // @ts-expect-error The task is a function, not its promise.
  await lock.run(Promise.resolve(1))
  // @ts-expect-error It is given the lock and nothing else.
  await lock.run((own, other) => [own, other])
  // @ts-expect-error There is no such mode.
  await lock.run(() => {}, { mode: 'write' })
  // @ts-expect-error A number comes of it, not a string.
  const wrong: string = await lock.run(() => 1)
  return wrong
}

export async function using() {
  await using first = await lockFile('first.lock').acquire()
  using second = lockFile('second.lock').acquireSync({ timeout: 100 })
  using third = await lockFile('third.lock').acquire()
  const disposables: [Disposable, AsyncDisposable] = [first, second]
  // @ts-expect-error Not awaited: a promise is not to be disposed of.
  using early = lockFile('early.lock').acquire()
  // @ts-expect-error Nor this way.
  await using late = lockFile('late.lock').acquire()
  // @ts-expect-error Not acquired: nothing is locked.
  using handle = lockFile('handle.lock')
  // @ts-expect-error Nor this way.
  await using another = lockFile('another.lock')
  return [...disposables, third, early, late, handle, another].length
}

export async function askingWho(lock: FileLock, error: LockTimeoutError) {
  const holders = await lock.holders()
  same<typeof holders, LockHolder[] | undefined>(true)
  same<typeof error.holders, LockHolder[] | undefined>(true)
  // @ts-expect-error Some systems do not tell.
  holders.length
  for (const { pid, mode, command, host } of holders ?? []) {
    same<typeof host, string | undefined>(true)
    same<typeof pid, number>(true)
    same<typeof mode, LockMode>(true)
    same<typeof command, string | undefined>(true)
  }
  const { held, pending } = query()
  same<typeof held, LockInfo[]>(true)
  same<typeof pending, LockInfo[]>(true)
  for (const { path, mode, since, threadId } of [...held, ...pending]) {
    same<typeof path, string>(true)
    same<typeof mode, LockMode>(true)
    same<typeof since, number>(true)
    same<typeof threadId, number>(true)
  }
  // @ts-expect-error It is asked of the whole process.
  query(lock)
  // @ts-expect-error A promise: the system is asked.
  return lock.holders().length
}
