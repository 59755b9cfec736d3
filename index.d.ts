/// <reference types="node" />

/** The mode of a lock: `'exclusive'` has one holder, `'shared'` any number. The words of the Web Locks API. */
export type LockMode = 'exclusive' | 'shared'

/** The path of a lock file: a string, its bytes, or a `file:` URL of any realm. */
export type LockPath = string | Uint8Array | URL

/** The codes of a {@link LockError}. */
export type LockErrorCode =
  | 'ERR_LOCK_TIMEOUT'
  | 'ERR_LOCK_NOT_HELD'
  | 'ERR_LOCK_UNSUPPORTED'
  | 'ERR_LOCK_DEADLOCK'
  | 'ERR_LOCK_LOST'

/** Options of {@link FileLock.tryAcquireSync}. */
export interface TryAcquireSyncOptions {
  /** The mode in which the lock is requested. Defaults to the handle's mode. */
  mode?: LockMode | undefined
}

/** Options of {@link FileLock.tryAcquire}. */
export interface TryAcquireOptions extends TryAcquireSyncOptions {
  /** Stops the wait when it fires. A signal of another realm or of a polyfill works, too. */
  signal?: AbortSignal | undefined
}

/** Options of {@link FileLock.acquireSync}. */
export interface AcquireSyncOptions extends TryAcquireSyncOptions {
  /**
   * The longest wait, in milliseconds. `0` tries once. `Infinity` waits for ever. It bounds the wait, never the hold.
   * Defaults to the handle's timeout.
   */
  timeout?: number | undefined
}

/** Options of {@link FileLock.acquire} and {@link FileLock.run}. */
export interface AcquireOptions extends AcquireSyncOptions {
  /** Stops the wait when it fires. A signal of another realm or of a polyfill works, too. */
  signal?: AbortSignal | undefined
}

/** Options of {@link lockFile}. */
export interface LockFileOptions {
  /** The timeout of every acquire of this handle, in milliseconds. Defaults to `Infinity`. */
  timeout?: number | undefined
  /** The mode of every acquire of this handle. Defaults to `'exclusive'`. */
  mode?: LockMode | undefined
  /** Permission bits of a lock file that has to be created, less the umask. Defaults to `0o666`. */
  fileMode?: number | undefined
  /**
   * Delete the lock file on release, while the exclusive lock is still held. Defaults to `false`. The option of the
   * handle that holds the lock counts, whichever handle releases it.
   *
   * Every other program that locks the file must then look, after locking, whether its path still names the file
   * that it locked. This package does; Python's `locket` does not.
   *
   * If the path is a symbolic link, the link and the file that it leads to are left in place. A file with several hard
   * links loses the one name by which it was locked, and its names are different locks from then on.
   */
  removeOnRelease?: boolean | undefined
  /**
   * Lock a folder, if the path names one. Defaults to `false`: a folder is refused with `EISDIR`. A folder is never
   * created, and never removed. Only on Unix.
   */
  allowDirectory?: boolean | undefined
}

/** A process that holds a lock. */
export interface LockHolder {
  /** The number of the process. */
  pid: number
  /** The mode in which it holds the lock. */
  mode: LockMode
  /** Its command line, where this process may see it; of a long one the beginning. It may contain secrets. */
  command?: string
}

/** A lock that this process holds or waits for. */
export interface LockInfo {
  /** The path of the handle. */
  path: string
  /** The mode in which the lock is held or requested. */
  mode: LockMode
  /**
   * When the hold or the wait began, in milliseconds since 1970. `Date.now() - since` is its age, also if the clock
   * has been set in the meantime.
   */
  since: number
  /** The thread that holds it or waits, as `node:worker_threads` numbers them. The main thread is `0`. */
  threadId: number
}

/**
 * Returns a handle for the lock of the file at `path`. Same as `new FileLock(path, options)`.
 *
 * It touches nothing yet: acquiring opens the file, and creates it if it is missing. Its folder must exist.
 *
 * @throws {TypeError | RangeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` for bad
 * arguments.
 *
 * @example
 * const lock = await lockFile('build.lock').acquire(5000)
 * try { await build() } finally { lock.release() }
 */
export function lockFile(path: LockPath, options?: LockFileOptions): FileLock

/**
 * Returns what this process holds and waits for, over all its worker threads, in the order of the requests: the waits
 * for one file are listed as they stand in its queue. Like the `query()` of the Web Locks API.
 */
export function query(): { held: LockInfo[]; pending: LockInfo[] }

/**
 * A handle for the lock of one file. Many handles, in many processes and worker threads, may name the same file:
 * they share one lock, also by other spellings of the path, symbolic links and hard links.
 *
 * A handle holds at most one acquisition at a time. The lock is not re-entrant: acquiring what is held waits,
 * even if this handle holds it. A handle belongs to its thread: it cannot be cloned or posted to another.
 *
 * Each acquire is told on the tracing channel `locket.acquire` of `node:diagnostics_channel`. Its context has `path`,
 * `mode`, `timeout`, and from the grant on `acquisition`, a number that is unique in the process. The channel
 * `locket.release` tells of each release with `path` and that `acquisition`.
 */
export class FileLock {
  /** Same as {@link lockFile}. */
  constructor(path: LockPath, options?: LockFileOptions)

  /** The absolute path, fixed when the handle is made. */
  readonly path: string

  /** Is `true` while this handle holds the lock. */
  readonly held: boolean

  /**
   * Fires if this handle's lock is lost while it is held, with a {@link LockError} `ERR_LOCK_LOST` as its reason.
   *
   * A lock is lost when something in this process closes the descriptor of the lock file. That is noticed when the
   * lock is released: `release()` and `run()` report it as an error, too; disposal does not. Each acquisition has a
   * signal of its own; a signal that is read before acquiring is that of the next acquisition.
   */
  readonly lost: AbortSignal

  /**
   * Waits for the lock, first come, first served within the process. Resolves to this handle, which then holds the
   * lock. A pending acquire keeps the process alive; a held lock does not.
   *
   * @param options The options, or the timeout alone, in milliseconds.
   * @throws {LockTimeoutError} `ERR_LOCK_TIMEOUT`: the wait ended without the lock.
   * @throws {LockError} `ERR_LOCK_UNSUPPORTED`: the file system has no such locks.
   * @throws {Error} `ABORT_ERR`: the signal fired; `cause` is its reason. `ENOENT`, `EACCES`, `EISDIR`, `EMFILE`, …:
   * the system refused.
   * @throws {TypeError | RangeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` for bad
   * arguments.
   */
  acquire(options?: number | AcquireOptions): Promise<HeldLock>

  /**
   * Same as {@link FileLock.acquire}, but blocks the thread and its event loop.
   *
   * @param options The options, or the timeout alone, in milliseconds.
   * @throws {LockError} also `ERR_LOCK_DEADLOCK`: the wait has no end, and this thread itself holds the lock or is
   * ahead in line for it.
   */
  acquireSync(options?: number | AcquireSyncOptions): HeldLock

  /**
   * Tries once. Resolves to `true` if this handle now holds the lock, to `false` if somebody else does. Rejects as
   * {@link FileLock.acquire} does for other reasons, with `ERR_LOCK_TIMEOUT` if the path does not answer.
   */
  tryAcquire(options?: TryAcquireOptions): Promise<boolean>

  /** Same as {@link FileLock.tryAcquire}, on the calling thread. */
  tryAcquireSync(options?: TryAcquireSyncOptions): boolean

  /**
   * Releases the lock that this handle holds. The next in line can then have it.
   *
   * A handle that has never asked for the lock releases the exclusive lock that this process holds on the same file,
   * whichever handle or thread acquired it. A handle that has asked, with or without success, releases only its own.
   *
   * @throws {LockError} `ERR_LOCK_NOT_HELD`: there is no such lock. `ERR_LOCK_LOST`: the lock was lost before, see
   * {@link FileLock.lost}.
   */
  release(): void

  /**
   * Acquires the lock, calls `task` with this handle, waits for the promise that it returns, and releases the lock,
   * also if the task fails. Resolves to the task's result, or rejects with the task's error.
   *
   * A signal that fires before the task is called keeps it from being called. A wait for the lock inside its own task
   * never ends if the task awaits it; after a second it causes a process warning, `LOCKET_NESTED_RUN`.
   *
   * @param options The options, or the timeout alone, in milliseconds.
   * @throws as {@link FileLock.acquire} does, and `ERR_LOCK_LOST`: the task has ended, but the lock was lost before.
   */
  run<T>(task: (lock: HeldLock) => T | PromiseLike<T>, options?: number | AcquireOptions): Promise<T>

  /**
   * Resolves to `true` if anybody, in any process, holds the lock now, in any mode. Never creates the file.
   *
   * Where this process does not know, it finds out by trying: a try of somebody else at the same instant can fail
   * because of it.
   *
   * @throws {LockTimeoutError} `ERR_LOCK_TIMEOUT`: the path does not answer.
   * @throws {Error} `EACCES`, …: the system refused.
   */
  isLocked(): Promise<boolean>

  /**
   * Resolves to the processes that hold the lock now, whatever programs they run, or to `undefined` where the system
   * does not tell. Linux tells, of the processes that this one may know of. Never creates the file, and never takes
   * the lock.
   *
   * The answer describes one moment: the holders may have released the lock by the time that it arrives.
   *
   * @throws {Error} `EACCES`, …: the system refused to say which file it is.
   */
  holders(): Promise<LockHolder[] | undefined>
}

/**
 * A {@link FileLock} that holds its lock: the same object, as acquiring returns it. Only this type can be declared with
 * `using`: a handle that is not locked yet has nothing to dispose of.
 */
export interface HeldLock extends FileLock, Disposable, AsyncDisposable {
  /** Releases what this handle holds, if anything. Never throws. */
  [Symbol.dispose](): void
  /** Releases what this handle holds, if anything. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>
}

/** An error of the lock itself. What the operating system refuses is an `Error` shaped as Node's own. */
export class LockError extends Error {
  constructor(message: string, fields: { code: LockErrorCode; path: string; cause?: unknown })

  /** What happened. */
  readonly code: LockErrorCode
  /** The lock's path. */
  readonly path: string
  /** Returns the name, message and fields, for `JSON.stringify()`. Command lines of holders are left out. */
  toJSON(): object
}

/** The wait ended without the lock. */
export class LockTimeoutError extends LockError {
  constructor(
    message: string,
    fields: { path: string; timeout: number; holders?: LockHolder[] | undefined; cause?: unknown },
  )

  readonly code: 'ERR_LOCK_TIMEOUT'
  /** The longest wait that was asked for, in milliseconds. */
  readonly timeout: number
  /**
   * The processes that held the lock an instant later, or `undefined` where the system does not tell; see
   * {@link FileLock.holders}. The message names them by number and program only.
   */
  readonly holders: LockHolder[] | undefined
}
