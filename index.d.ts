/// <reference types="node" />

/**
 * How a lock is held: `'exclusive'` by one alone, `'shared'` by many at once. The words of the Web Locks API.
 */
export type LockMode = 'exclusive' | 'shared'

export interface AcquireOptions {
  /**
   * The longest wait, in milliseconds. `0` tries once. Omitted or `Infinity`: waits for ever. It bounds the wait,
   * never the hold.
   */
  timeout?: number | undefined
  /** `'exclusive'` unless the handle or this option says otherwise. */
  mode?: LockMode | undefined
  /** Gives the wait up when it fires. Not for the sync forms. */
  signal?: AbortSignal | undefined
}

export interface LockFileOptions {
  /** The default `timeout` of every acquire of this handle, in milliseconds. */
  timeout?: number | undefined
  /** The default `mode` of every acquire of this handle. */
  mode?: LockMode | undefined
  /** Permission bits of a lock file that has to be created, less the umask. `0o666` unless said. */
  fileMode?: number | undefined
  /**
   * Delete the lock file on release, while the exclusive lock is still held. `false` unless said. It is the option of
   * the handle that holds the lock, whichever one releases it.
   *
   * Every other program that locks the file must then look, after locking, whether its path still names the file
   * that it locked. This package does; Python's `locket` does not.
   *
   * If the path is a symbolic link, the link and the file that it leads to are left in place. A file with several hard
   * links loses the one name by which it was locked, and its names are different locks from then on.
   */
  removeOnRelease?: boolean | undefined
}

/** A process that holds a lock. */
export interface LockHolder {
  /** The number of the process. */
  pid: number
  /** How it holds the lock. */
  mode: LockMode
  /** Its command line, where this process may see it. Of a long one the beginning. */
  command?: string
}

/** A lock that this process holds, or waits for. */
export interface LockInfo {
  /** The path of the handle. */
  path: string
  /** How the lock is held, or shall be. */
  mode: LockMode
  /** Since when it has been held, or waited for, in milliseconds since 1970, as `Date.now()` has them. */
  since: number
}

/**
 * A handle for the lock of the file at `path`. Touches nothing yet: acquiring opens the file, and creates it if it
 * is missing; its folder must be there.
 *
 * @throws {TypeError | RangeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` for bad
 * arguments.
 *
 * @example
 * const lock = await lockFile('build.lock').acquire({ timeout: 5000 })
 * try { await build() } finally { lock.release() }
 */
export function lockFile(path: string | Buffer | URL, options?: LockFileOptions): FileLock

/**
 * What this process holds and waits for, over all its worker threads, in the order in which it was asked for: so the
 * waits for one file stand as they stand in its queue. Like the `query()` of the Web Locks API.
 */
export function query(): { held: LockInfo[]; pending: LockInfo[] }

/**
 * A handle for the lock of one file. Many handles, in many processes and worker threads, may name the same file:
 * they share one lock, also by other spellings of the path, symbolic links and hard links.
 *
 * A handle holds at most one acquisition at a time. The lock is not re-entrant: acquiring what is held waits,
 * whoever holds it.
 */
export class FileLock {
  private constructor()

  /** Absolute, and fixed when the handle was made. */
  readonly path: string

  /** Does this handle hold the lock now? */
  readonly held: boolean

  /**
   * Waits for the lock, first come, first served within the process. Resolves to this handle, which holds it then.
   * A pending acquire keeps the process alive; a held lock does not.
   *
   * @throws {LockTimeoutError} `ERR_LOCK_TIMEOUT`: the wait ended without the lock.
   * @throws {LockError} `ERR_LOCK_UNSUPPORTED`: the file system has no such locks.
   * @throws {Error} `ABORT_ERR`: the signal fired. `ENOENT`, `EACCES`, `EISDIR`, `EMFILE`, …: the system refused.
   */
  acquire(options?: AcquireOptions): Promise<this>

  /**
   * The same, blocking the thread and its event loop.
   *
   * @throws {LockError} also `ERR_LOCK_DEADLOCK`: the wait has no end, and this thread itself holds the lock or is
   * ahead in line for it.
   */
  acquireSync(options?: Omit<AcquireOptions, 'signal'>): this

  /** Tries once. Resolves to whether this handle holds the lock now; rejects as `acquire` does for other reasons. */
  tryAcquire(options?: Pick<AcquireOptions, 'mode' | 'signal'>): Promise<boolean>

  /** The same, on the calling thread. */
  tryAcquireSync(options?: Pick<AcquireOptions, 'mode'>): boolean

  /**
   * Releases the lock. If this handle holds nothing, the exclusive lock that this process holds on the same file
   * by any other handle is released: any thread may release. When it returns, the next in line can have the lock.
   *
   * @throws {LockError} `ERR_LOCK_NOT_HELD`: there is no such lock.
   */
  release(): void

  /**
   * Acquires the lock, calls `task` with this handle, waits for what it returns, and releases the lock, also if
   * the task throws. Resolves to the task's result.
   */
  run<T>(task: (lock: this) => T | PromiseLike<T>, options?: AcquireOptions): Promise<T>

  /**
   * Does anybody, in any process, hold the lock now, in any mode? Never creates the file.
   *
   * Where this process does not know, it finds out by trying: somebody else's try at the same instant can be
   * refused for it.
   */
  isLocked(): Promise<boolean>

  /**
   * Who holds the lock now, as far as the system tells: on Linux, any process that this one may know of, whatever
   * program it runs. Elsewhere, and where nobody holds it, `[]`. Never creates the file, and tries no lock.
   *
   * It is a look at one moment: who is named may have released it by the time that you read it.
   *
   * @throws {Error} `EACCES`, …: the system refused to say which file it is.
   */
  holders(): Promise<LockHolder[]>

  /** Releases what this handle itself holds, if anything. */
  [Symbol.dispose](): void

  /** Releases what this handle itself holds, if anything. */
  [Symbol.asyncDispose](): Promise<void>
}

/** An error of the lock itself. What the operating system refuses is an `Error` shaped as Node's own. */
export class LockError extends Error {
  protected constructor()

  /** `ERR_LOCK_TIMEOUT`, `ERR_LOCK_NOT_HELD`, `ERR_LOCK_UNSUPPORTED` or `ERR_LOCK_DEADLOCK`. */
  readonly code: string
  /** The lock's path. */
  readonly path: string
}

/** The wait ended without the lock: `ERR_LOCK_TIMEOUT`. */
export class LockTimeoutError extends LockError {
  private constructor()

  /** The longest wait that was asked for, in milliseconds. */
  readonly timeout: number
  /** Who was in the way, as far as the system told an instant later: see {@link FileLock.holders}. */
  readonly holders: LockHolder[]
}
