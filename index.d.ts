/// <reference types="node" />

/** The mode of a lock. `'exclusive'` allows one holder, `'shared'` any number, as in the Web Locks API. */
export type LockMode = 'exclusive' | 'shared'

/** The path of a lock file: a string, the bytes of a path, or a `file:` URL (of any realm). */
export type LockPath = string | Uint8Array | URL

/**
 * How a lock is kept.
 *
 * - `'flock'`: the kernel's lock of a file, as flock(2) takes it.
 * - `'fcntl'`: the kernel's other lock of a file, as fcntl(2) and lockf(3) take it (Linux, macOS). Does not exclude
 *   `'flock'`.
 * - `'proper-lockfile'`: npm's `proper-lockfile`: the folder `PATH.lock`. `PATH` must exist.
 * - `'lockfile'`: npm's `lockfile`: the file `PATH`.
 * - `'soft-file'`: `SoftFileLock` of Python's `filelock`: the file `PATH`.
 * - `'link'`, `'mkdir'`, `'symlink'`: `LinkLockFile`, `MkdirLockFile` and `SymlinkLockFile` of Python's `lockfile`: a
 *   file, folder or symbolic link `PATH.lock`.
 * - `'pid-file'`: `PIDLockFile` of Python's `lockfile`: the file `PATH`.
 * - `'dotlock'`: `dotlockfile(1)` and `lockfile-create(1)`: the file `PATH`.
 *
 * All but the first two lock by the existence of that file, folder or link, the lock entry.
 */
export type LockProtocol =
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

/** The codes of a {@link LockError}. */
export type LockErrorCode =
  | 'ERR_LOCK_TIMEOUT'
  | 'ERR_LOCK_NOT_HELD'
  | 'ERR_LOCK_UNSUPPORTED'
  | 'ERR_LOCK_DEADLOCK'
  | 'ERR_LOCK_LOST'
  | 'ERR_LOCK_PERMITS'

/** Options of {@link FileLock.tryAcquireSync}. */
export interface TryAcquireSyncOptions {
  /** The requested mode. Defaults to the mode of the handle. */
  mode?: LockMode | undefined
}

/** Options of {@link FileLock.tryAcquire}. */
export interface TryAcquireOptions extends TryAcquireSyncOptions {
  /** Ends the wait when it fires. May come from another realm or a polyfill. */
  signal?: AbortSignal | undefined
}

/** Options of {@link FileLock.acquireSync}. */
export interface AcquireSyncOptions extends TryAcquireSyncOptions {
  /**
   * The longest wait, in milliseconds. `0` tries once, `Infinity` waits without limit. Limits the wait, never the
   * hold. Defaults to the timeout of the handle.
   */
  timeout?: number | undefined
}

/** Options of {@link FileLock.acquire} and {@link FileLock.run}. */
export interface AcquireOptions extends AcquireSyncOptions {
  /** Ends the wait when it fires. May come from another realm or a polyfill. */
  signal?: AbortSignal | undefined
}

/** Options of {@link lockFile}. */
export interface LockFileOptions {
  /** The default timeout of every acquire of this handle, in milliseconds. Defaults to `Infinity`. */
  timeout?: number | undefined
  /** The default mode of every acquire of this handle. Defaults to `'exclusive'`. */
  mode?: LockMode | undefined
  /** The permission bits of a lock file that is created, less the umask. No effect on Windows. Defaults to `0o666`. */
  fileMode?: number | undefined
  /**
   * Deletes the lock file on release, while the exclusive lock is still held. The option of the handle that holds the
   * lock counts, whichever handle releases it. Defaults to `false`.
   *
   * Safe only if every program that locks the file checks, after locking, that its path still names the locked file.
   * This package does; Python's `locket` does not. Refused with `ERR_LOCK_UNSUPPORTED` on network and FUSE file
   * systems.
   *
   * A symbolic link stays in place, and so does the file that it leads to. A file with several hard links loses the
   * one name by which it was locked; its names are different locks from then on.
   */
  removeOnRelease?: boolean | undefined
  /**
   * Allows the path to name a folder, and locks that. Unix only. A folder is never created or removed. Defaults to
   * `false`: a folder is refused with `EISDIR`.
   */
  allowDirectory?: boolean | undefined
  /**
   * How the lock is kept. Only programs that use the same protocol for the same path exclude each other. Defaults to
   * `'flock'`.
   *
   * The protocols that lock by existence have exclusive locks only, and neither `removeOnRelease` nor `allowDirectory`.
   */
  protocol?: LockProtocol | undefined
  /**
   * The age from which a lock entry counts as left behind, in milliseconds. All programs that share the lock need the
   * same value. Only for the protocols `'proper-lockfile'`, where it is at least 2000 and defaults to 10000, and
   * `'lockfile'`, where it is at least 100 and by default no age counts.
   */
  stale?: number | undefined
  /**
   * The interval at which the holder renews the time of its lock entry, in milliseconds; at most half of `stale`, which
   * is the default. Only for the protocols `'proper-lockfile'`, where it is at least 1000, and `'lockfile'`, where it is
   * at least 50.
   */
  update?: number | undefined
}

/** A process that holds a lock. */
export interface LockHolder {
  /** The process ID. */
  pid: number
  /** The mode in which the process holds the lock. */
  mode: LockMode
  /**
   * The command line, at most its first 4096 bytes. Missing if this process may not read it. May contain secrets.
   */
  command?: string
  /**
   * The host of the process, if that is another one than this. Only of locks by existence, whose entry may tell it:
   * whoever can write the entry can write anything.
   */
  host?: string
}

/** A lock that this process holds, or waits for. */
export interface LockInfo {
  /** The path of the handle. */
  path: string
  /** The mode in which the lock is held or requested. */
  mode: LockMode
  /**
   * The time at which the hold or the wait began, in milliseconds since 1970. `Date.now() - since` is its age, even
   * if the clock has been set in the meantime.
   */
  since: number
  /** The `threadId` of the thread that asked for the lock, as in `node:worker_threads`. The main thread is `0`. */
  threadId: number
}

/**
 * Returns a handle for the lock of the file at `path`. Same as `new FileLock(path, options)`.
 *
 * Touches nothing: acquiring opens the file, and creates it if it is missing. The folder of the file must exist.
 *
 * @throws {TypeError | RangeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`: an argument
 * is invalid.
 * @throws {Error} `ENOENT` or `ERANGE`: the path is relative, and the working folder is deleted or its path too long.
 *
 * @example
 * const lock = await lockFile('build.lock').acquire(5000)
 * try { await build() } finally { lock.release() }
 */
export function lockFile(path: LockPath, options?: LockFileOptions): FileLock

/**
 * Returns the locks that this process holds and waits for, over all its threads, in the order of the requests. So the
 * waits for one file are in the order of its queue. Like `navigator.locks.query()`, but synchronous. Never throws.
 */
export function query(): { held: LockInfo[]; pending: LockInfo[] }

/**
 * A handle for the lock of one file. All handles that name the same file, in any process or worker thread, share one
 * lock, even if they name it by another spelling, a symbolic link or a hard link.
 *
 * A handle holds its lock at most once at a time. The lock is not re-entrant: acquiring a lock that is held waits,
 * even if this handle holds it. A handle belongs to its thread, and cannot be cloned or posted to another.
 *
 * Each acquire is published on the tracing channel `locket.acquire` of `node:diagnostics_channel`. The message has
 * `path`, `mode`, `timeout` and `lock`, the handle, and once the lock is held `acquisition`, a number that is unique in
 * the process. Each release is published on the channel `locket.release`, with `path` and the same `acquisition`.
 */
export class FileLock {
  /** Same as {@link lockFile}. */
  constructor(path: LockPath, options?: LockFileOptions)

  /** The absolute path, fixed when the handle is created. Symbolic links are not resolved. */
  readonly path: string

  /** `true` while this handle holds the lock. */
  readonly held: boolean

  /**
   * A signal that fires if the lock is lost while this handle holds it. Its reason is a {@link LockError} with the
   * code `ERR_LOCK_LOST`.
   *
   * A lock by existence is lost when others remove or replace its lock entry. The signal fires when that is noticed,
   * and `held` is `false` from then on.
   *
   * Any lock is lost when other code in this process closes the descriptor of the lock file. That is noticed when the
   * lock is released.
   *
   * `release()` and `run()` report a loss as an error too, disposal does not. Each acquisition has its own signal.
   * Before an acquire, this is the signal of the next acquisition.
   */
  readonly lost: AbortSignal

  /**
   * Waits for the lock, and resolves to this handle, which then holds it. Within the process, requests are served in
   * the order in which they were made. A pending acquire keeps the process alive; a held lock does not.
   *
   * @param options The options, or the timeout alone, in milliseconds.
   * @throws {LockTimeoutError} `ERR_LOCK_TIMEOUT`: the wait ended without the lock.
   * @throws {LockError} `ERR_LOCK_UNSUPPORTED`: the file system has no such locks, or cannot keep `removeOnRelease`; or
   * the mode is `'shared'` and the protocol has no shared locks.
   * @throws {Error} `ABORT_ERR`: the signal fired; `cause` is its reason. `ENOENT`, `EACCES`, `EISDIR`, `EMFILE`, …:
   * the system refused.
   * @throws {TypeError | RangeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`: an option
   * is invalid.
   */
  acquire(options?: number | AcquireOptions): Promise<HeldLock>

  /**
   * Same as {@link FileLock.acquire}, but blocks the calling thread and its event loop. Takes no signal.
   *
   * @param options The options, or the timeout alone, in milliseconds.
   * @throws {LockError} Also `ERR_LOCK_DEADLOCK`: the wait has no timeout, and this very thread holds the lock or has
   * an earlier request for it in the queue.
   */
  acquireSync(options?: number | AcquireSyncOptions): HeldLock

  /**
   * Tries once. Resolves to `true` if this handle now holds the lock, and to `false` if it is held already or other
   * requests of this process wait for it. Rejects as {@link FileLock.acquire} does; with `ERR_LOCK_TIMEOUT` only if
   * the path does not answer.
   */
  tryAcquire(options?: TryAcquireOptions): Promise<boolean>

  /** Same as {@link FileLock.tryAcquire}, but works on the calling thread and returns the result. */
  tryAcquireSync(options?: TryAcquireSyncOptions): boolean

  /**
   * Releases the lock that this handle holds, so that the next request can have it.
   *
   * A handle that has requested the lock before, with or without success, releases only its own acquisition. A handle
   * that has never requested it releases the exclusive lock that this process holds on the same file, whichever
   * handle or thread acquired it.
   *
   * @throws {LockError} `ERR_LOCK_NOT_HELD`: there is no such lock. `ERR_LOCK_LOST`: the lock was lost, see {@link
   * FileLock.lost}.
   */
  release(): void

  /**
   * Acquires the lock, calls `task` with this handle, awaits its result, and releases the lock, even if the task
   * fails. Resolves to the result of the task, or rejects with its error.
   *
   * A signal that fires before the task is called keeps it from being called. A task that awaits another acquire of
   * the same lock waits for itself for ever; after a second, the process warning `LOCKET_NESTED_RUN` says so.
   *
   * @param options The options, or the timeout alone, in milliseconds.
   * @throws As {@link FileLock.acquire}. Also `ERR_LOCK_LOST`: the task has succeeded, but the lock was lost
   * meanwhile.
   */
  run<T>(task: (lock: HeldLock) => T | PromiseLike<T>, options?: number | AcquireOptions): Promise<T>

  /**
   * Resolves to `true` if any process holds the lock now, in any mode. Never creates the file.
   *
   * Where neither this process nor the kernel's table of locks knows, it takes the lock for an instant; a try of
   * another process at that instant can fail because of it.
   *
   * @throws {LockTimeoutError} `ERR_LOCK_TIMEOUT`: the path does not answer.
   * @throws {LockError} `ERR_LOCK_UNSUPPORTED`: the file system has no such locks.
   * @throws {Error} `EACCES`, …: the system refused.
   */
  isLocked(): Promise<boolean>

  /**
   * Removes the lock entry of a lock by existence, whoever made it, and resolves to `true` if there was one. Its holder
   * is not told at once, and goes on as if it held the lock: break only the lock of a holder that is known to be gone.
   *
   * @throws {LockError} `ERR_LOCK_UNSUPPORTED`: the kernel keeps the lock (`'flock'`, `'fcntl'`), and releases it when
   * its holder ends.
   * @throws {Error} `EACCES`, `ENOTEMPTY`, …: the system refused.
   */
  breakLock(): Promise<boolean>

  /**
   * Resolves to the processes that hold the lock now, whatever program they run, or to `undefined` where the system
   * does not tell. Linux tells, as far as this process may see the others. Of a lock by existence, its entry tells.
   * Never creates the file, and never takes the lock.
   *
   * The answer describes one moment; the holders may have released the lock when it arrives.
   *
   * @throws {Error} `EACCES`, …: the system refused to identify the file.
   */
  holders(): Promise<LockHolder[] | undefined>
}

/**
 * A {@link FileLock} that holds its lock: the handle itself, as an acquire returns it. Only this type can be declared
 * with `using`, since a handle that holds no lock has nothing to dispose of.
 */
export interface HeldLock extends FileLock, Disposable, AsyncDisposable {
  /** Releases the lock if this handle holds it. Never throws. */
  [Symbol.dispose](): void
  /** Releases the lock if this handle holds it. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>
}

/** A file of {@link lockFiles}: its path, or the path with a mode of its own. */
export type LockFilesPath = LockPath | { path: LockPath; mode?: LockMode | undefined }

/**
 * Returns a handle for the locks of several files, which are acquired together: all or none.
 *
 * Programs that acquire the same files in this way never wait for each other for ever, in whatever order they name them, and by
 * whatever links. A file that is named more than once is locked once, in the stricter mode.
 *
 * Touches nothing: acquiring opens the files, and creates those that are missing.
 *
 * @param options Those of {@link lockFile}, for all files. A path with a mode of its own keeps it.
 * @throws {TypeError | RangeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`: an argument
 * is invalid, or there is no path.
 *
 * @example
 * await lockFiles(['inbox.lock', { path: 'archive.lock', mode: 'shared' }]).run(move)
 */
export function lockFiles(paths: readonly LockFilesPath[], options?: LockFileOptions): FileLocks

/**
 * A handle for the locks of several files. It has the methods of a {@link FileLock}, each for all files together.
 *
 * The `timeout` of a wait is for all files together. When it ends, or any file fails, nothing is held. The `path` of the
 * error names the file that caused it.
 */
export interface FileLocks {
  /** The absolute paths, in the given order. Symbolic links are not resolved. */
  readonly paths: readonly string[]

  /**
   * `true` while this handle holds all locks. If one of them is gone, reading it releases the others. `release` still throws
   * `ERR_LOCK_LOST` for one that was lost.
   */
  readonly held: boolean

  /** A signal that fires if one of the locks is lost while this handle holds them, see {@link FileLock.lost}. */
  readonly lost: AbortSignal

  /**
   * Waits for all locks, and resolves to this handle, which then holds them. See {@link FileLock.acquire} for the errors.
   *
   * @param options The options, or the timeout alone, in milliseconds. The mode is for the paths without a mode of their own.
   */
  acquire(options?: number | AcquireOptions): Promise<HeldLocks>

  /** Same as {@link FileLocks.acquire}, but blocks the calling thread, see {@link FileLock.acquireSync}. */
  acquireSync(options?: number | AcquireSyncOptions): HeldLocks

  /**
   * Tries once. Resolves to `true` if this handle now holds all locks, and to `false` if one of them is not free, see {@link
   * FileLock.tryAcquire}.
   */
  tryAcquire(options?: TryAcquireOptions): Promise<boolean>

  /** Same as {@link FileLocks.tryAcquire}, but works on the calling thread and returns the result. */
  tryAcquireSync(options?: TryAcquireSyncOptions): boolean

  /**
   * Releases all locks that this handle holds.
   *
   * @throws {LockError} `ERR_LOCK_NOT_HELD`: it holds none. `ERR_LOCK_LOST`: one of them was lost. The others are released.
   */
  release(): void

  /**
   * Acquires all locks, calls `task` with this handle, awaits its result, and releases the locks, even if the task fails.
   * Resolves to the result of the task, or rejects with its error. See {@link FileLock.run}.
   */
  run<T>(task: (locks: HeldLocks) => T | PromiseLike<T>, options?: number | AcquireOptions): Promise<T>

  /** Resolves to `true` if any process holds any of the locks now, see {@link FileLock.isLocked}. */
  isLocked(): Promise<boolean>

  /**
   * Resolves to the processes that hold any of the locks now, each once, see {@link FileLock.holders}. The mode is `'exclusive'`
   * if a process holds any of them so. Resolves to `undefined` if the system does not tell of one of them.
   */
  holders(): Promise<LockHolder[] | undefined>
}

/** {@link FileLocks} that hold their locks: the handle itself, as an acquire returns it. */
export interface HeldLocks extends FileLocks, Disposable, AsyncDisposable {
  /** Releases the locks if this handle holds them. Never throws. */
  [Symbol.dispose](): void
  /** Releases the locks if this handle holds them. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>
}

/** An error of the lock itself. An error of the operating system is an `Error` with the fields of Node's own. */
export class LockError extends Error {
  constructor(message: string, fields: { code: LockErrorCode; path: string; cause?: unknown })

  /** The kind of the error. */
  readonly code: LockErrorCode
  /** The path of the lock. */
  readonly path: string
  /** Returns the name, message and fields for `JSON.stringify()`, without the command lines of the holders. */
  toJSON(): object
}

/** The error of a wait that ended without the lock. */
export class LockTimeoutError extends LockError {
  constructor(
    message: string,
    fields: { path: string; timeout: number; holders?: LockHolder[] | undefined; cause?: unknown },
  )

  readonly code: 'ERR_LOCK_TIMEOUT'
  /** The requested longest wait, in milliseconds. */
  readonly timeout: number
  /**
   * The processes that held the lock when the wait ended, or `undefined` where the system does not tell, see {@link
   * FileLock.holders}. The message names them by process ID and program only.
   */
  readonly holders: LockHolder[] | undefined
}

/** Options of {@link semaphore}. */
export interface SemaphoreOptions {
  /** The default timeout of every acquire of this semaphore, in milliseconds. Defaults to `Infinity`. */
  timeout?: number | undefined
  /** The permission bits of the files that are created, less the umask. No effect on Windows. Defaults to `0o666`. */
  fileMode?: number | undefined
}

/** Options of {@link Semaphore.tryAcquire}. */
export interface TryAcquirePermitOptions {
  /** Ends the wait when it fires. May come from another realm or a polyfill. */
  signal?: AbortSignal | undefined
}

/** Options of {@link Semaphore.acquire} and {@link Semaphore.run}. */
export interface AcquirePermitOptions extends TryAcquirePermitOptions {
  /**
   * The longest wait, in milliseconds. `0` tries once, `Infinity` waits without limit. Limits the wait, never the
   * hold. Defaults to the timeout of the semaphore.
   */
  timeout?: number | undefined
}

/**
 * Returns the semaphore of the file at `path`: at most `permits` permits are held at once, over all processes and worker
 * threads that name the file.
 *
 * Touches nothing: acquiring creates the file, which has the number of permits, and beside it, when they are first needed,
 * the files `path.1` to `path.N`. They stay. The folder must exist. A file with any other content is refused, and never
 * changed.
 *
 * @param permits An integer from 1 to 1024. The same for all that use the file at the same time; when nobody uses it,
 * another number takes its place.
 * @throws {TypeError | RangeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`: an argument
 * is invalid.
 *
 * @example
 * await using permit = await semaphore('compile.slots', 4).acquire()
 */
export function semaphore(path: LockPath, permits: number, options?: SemaphoreOptions): Semaphore

/**
 * A semaphore. Each acquire gives one permit, which is released by itself, so one semaphore serves any number of
 * holders and waits.
 *
 * Cannot be cloned or posted to another thread. Diagnostics are those of {@link FileLock}.
 */
export interface Semaphore {
  /** The absolute path, fixed when the semaphore is created. Symbolic links are not resolved. */
  readonly path: string

  /** The number of permits. */
  readonly permits: number

  /**
   * Waits for a permit. Within the process, requests are served in the order in which they were made. A pending acquire
   * keeps the process alive; a permit does not. A permit that is dropped stays held until the process ends.
   *
   * @param options The options, or the timeout alone, in milliseconds.
   * @throws {LockTimeoutError} `ERR_LOCK_TIMEOUT`: the wait ended without a permit.
   * @throws {LockError} `ERR_LOCK_PERMITS`: the semaphore is in use with another number of permits, or the file is not
   * that of a semaphore. `ERR_LOCK_UNSUPPORTED`: the file system has no such locks.
   * @throws {Error} `ABORT_ERR`: the signal fired; `cause` is its reason. `ENOENT`, `EACCES`, `EISDIR`, `EMFILE`, …:
   * the system refused.
   * @throws {TypeError | RangeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`: an option
   * is invalid.
   */
  acquire(options?: number | AcquirePermitOptions): Promise<Permit>

  /**
   * Tries once. Resolves to a permit, or to `undefined` if all are held or others wait. Rejects as {@link
   * Semaphore.acquire} does; with `ERR_LOCK_TIMEOUT` only if the path does not answer.
   */
  tryAcquire(options?: TryAcquirePermitOptions): Promise<Permit | undefined>

  /**
   * Acquires a permit, calls `task` with it, awaits its result, and releases the permit, even if the task fails.
   * Resolves to the result of the task, or rejects with its error.
   *
   * A signal that fires before the task is called keeps it from being called.
   *
   * @param options The options, or the timeout alone, in milliseconds.
   * @throws As {@link Semaphore.acquire}. Also `ERR_LOCK_LOST`: the task has succeeded, but the permit was lost
   * meanwhile.
   */
  run<T>(task: (permit: Permit) => T | PromiseLike<T>, options?: number | AcquirePermitOptions): Promise<T>

  /**
   * Resolves to the processes that hold permits now, one entry for each permit, or to `undefined` where the system does
   * not tell, see {@link FileLock.holders}. Never creates a file, and never takes a permit.
   */
  holders(): Promise<LockHolder[] | undefined>
}

/** A permit of a {@link Semaphore}, as an acquire gives it. */
export interface Permit extends Disposable, AsyncDisposable {
  /** `true` until the permit is released. */
  readonly held: boolean

  /** A signal that fires if the permit is lost while it is held, see {@link FileLock.lost}. */
  readonly lost: AbortSignal

  /**
   * Releases the permit, so that the next request can have it.
   *
   * @throws {LockError} `ERR_LOCK_NOT_HELD`: it was released before. `ERR_LOCK_LOST`: it was lost, see {@link
   * Permit.lost}.
   */
  release(): void

  /** Releases the permit if it is held. Never throws. */
  [Symbol.dispose](): void

  /** Releases the permit if it is held. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>
}

/** What the callback of {@link LockManager.request} gets, as in the Web Locks API. */
export interface Lock {
  /** The name of the lock. */
  readonly name: string
  /** The mode in which it is held. */
  readonly mode: LockMode
}

/** Options of {@link LockManager.request}: those of the Web Locks API, and `timeout`. */
export interface LockManagerRequestOptions {
  /** The requested mode. Defaults to `'exclusive'`. */
  mode?: LockMode | undefined
  /** Does not wait: if the lock is not available, the callback gets `null`. Defaults to `false`. */
  ifAvailable?: boolean | undefined
  /**
   * Takes the lock from whatever holds it in this process, in any thread, ahead of all that wait. Their requests are
   * rejected with an `AbortError`, while their callbacks go on. For exclusive locks only. Defaults to `false`.
   */
  steal?: boolean | undefined
  /** Ends the wait when it fires. Not with `ifAvailable` or `steal`. May come from another realm or a polyfill. */
  signal?: AbortSignal | undefined
  /**
   * The longest wait, in milliseconds. `0` tries once, `Infinity` waits without limit, which is the default. Not with
   * `ifAvailable` or `steal`. Not in the standard.
   */
  timeout?: number | undefined
}

/** A lock in the answer of {@link LockManager.query}. */
export interface LockManagerInfo {
  /** The name of the lock. */
  name: string
  /** The mode in which it is held or requested. */
  mode: LockMode
  /**
   * Who holds or requests it: `PID-THREADID` for a thread of this process, such as `4242-0` for its main thread; `PID` for
   * another process.
   */
  clientId: string
}

/** The answer of {@link LockManager.query}. */
export interface LockManagerSnapshot {
  /** The locks that are held. */
  held: LockManagerInfo[]
  /** The requests that wait. */
  pending: LockManagerInfo[]
}

/**
 * The Web Locks API, with locks that hold between processes: all managers of the same folder share their locks, in all
 * processes and worker threads. Each name is a file in the folder. The file is deleted when nobody uses it.
 *
 * Can be used wherever a `LockManager` of `lib.dom.d.ts` can. Cannot be cloned or posted to another thread.
 */
export class LockManager {
  /**
   * Touches nothing: the first request makes the folder, and those above it, if they are missing. It belongs to the
   * manager: no other program should keep files there.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`: the path is invalid.
   *
   * @example
   * const locks = new LockManager('/var/lib/app/locks')
   * await locks.request(`mailbox of ${user}`, () => deliver(mail))
   */
  constructor(folder: LockPath)

  /**
   * Waits for the lock `name`, calls `callback` with it, and releases it when what the callback returns is settled.
   * Resolves to the result of the callback, or rejects with its error. Within the process, the requests of a name are
   * served in the order in which they were made.
   *
   * A callback that awaits another request of the same name waits for itself for ever.
   *
   * @param name Any string that does not begin with `'-'`.
   * @throws {DOMException} `NotSupportedError`: the name begins with `'-'`, the options exclude each other, or another
   * process holds the lock that was to be stolen. `AbortError`: the lock was stolen.
   * @throws The reason of the signal, when that fires before the callback is called.
   * @throws {LockTimeoutError} `ERR_LOCK_TIMEOUT`: the wait ended without the lock.
   * @throws {LockError} `ERR_LOCK_UNSUPPORTED`: the file system has no such locks. `ERR_LOCK_LOST`: the callback has
   * succeeded, but the lock was lost meanwhile, see {@link FileLock.lost}.
   * @throws {Error} `EACCES`, `ENOTDIR`, `EMFILE`, …: the system refused.
   * @throws {TypeError | RangeError} An argument is invalid.
   */
  request<T>(name: string, callback: (lock: Lock) => T): Promise<Awaited<T>>
  request<T>(
    name: string,
    options: LockManagerRequestOptions & { ifAvailable?: false | undefined },
    callback: (lock: Lock) => T,
  ): Promise<Awaited<T>>
  request<T>(name: string, options: LockManagerRequestOptions, callback: (lock: Lock | null) => T): Promise<Awaited<T>>

  /**
   * Resolves to what is held and requested: by this process, over all its threads; on Linux also what other processes
   * hold, and the first request of each that waits for a name. The requests of a name are in their order.
   *
   * @throws {Error} `EACCES`, …: the system refused to list the folder.
   */
  query(): Promise<LockManagerSnapshot>
}
