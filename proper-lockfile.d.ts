/**
 * The functions of the npm package `proper-lockfile` 4, with its options, errors and defaults, on locks of this package.
 * Programs that use either exclude each other.
 */

/** Tries to acquire the lock of `file`, and resolves to a function that releases it. Same as {@link lock.lock}. */
declare function lock(file: string, options?: lock.LockOptions): Promise<() => Promise<void>>

declare namespace lock {
  /** How often and when a lock that is held is tried again, as in the npm package `retry`. */
  interface RetryOptions {
    /** The number of tries after the first one. Defaults to 10. */
    retries?: number | undefined
    /** The factor by which each pause is longer than the one before. Defaults to 2. */
    factor?: number | undefined
    /** The first pause, in milliseconds. Defaults to 1000. */
    minTimeout?: number | undefined
    /** The longest pause, in milliseconds. Defaults to `Infinity`. */
    maxTimeout?: number | undefined
    /** Makes each pause longer by a random factor between 1 and 2. Defaults to `false`. */
    randomize?: boolean | undefined
    /** Tries again for ever. Defaults to `false`. */
    forever?: boolean | undefined
    /** Lets the process end while it waits. Defaults to `false`. */
    unref?: boolean | undefined
    /** The time from which no try follows, in milliseconds. Defaults to `Infinity`. */
    maxRetryTime?: number | undefined
  }

  /** Options of all functions. */
  interface UnlockOptions {
    /** Resolves symbolic links, for which the file has to exist. Defaults to `true`. */
    realpath?: boolean | undefined
    /** Only `node:fs` and `graceful-fs` are accepted, and make no difference. */
    // biome-ignore lint/suspicious/noExplicitAny: as in the types of proper-lockfile
    fs?: any
    /** The path of the lock entry. Defaults to `${file}.lock`. */
    lockfilePath?: string | undefined
  }

  interface CheckOptions extends UnlockOptions {
    /** The age from which a lock counts as left behind, in milliseconds, at least 2000. Defaults to 10000. */
    stale?: number | undefined
  }

  interface LockOptions extends CheckOptions {
    /** The interval at which the lock is renewed, in milliseconds, from 1000 to half of `stale`. Defaults to the latter. */
    update?: number | undefined
    /**
     * The number of tries after the first one, or how they are made, or the pauses between them. The lock comes as soon
     * as it is free. Defaults to 0.
     */
    retries?: number | RetryOptions | number[] | undefined
    /** Called if the lock is lost. Defaults to a function that throws, and so ends the process. */
    // biome-ignore lint/suspicious/noExplicitAny: as in the types of proper-lockfile
    onCompromised?: ((error: Error) => any) | undefined
  }

  /**
   * Tries to acquire the lock of `file`, and resolves to a function that releases it.
   *
   * @throws {Error} `ELOCKED`: the lock is held; `cause` says by whom. `ENOENT`: the file is missing.
   */
  function lock(file: string, options?: LockOptions): Promise<() => Promise<void>>

  /**
   * Releases the lock of `file` that this process has acquired.
   *
   * @throws {Error} `ENOTACQUIRED`: there is no such lock.
   */
  function unlock(file: string, options?: UnlockOptions): Promise<void>

  /** Resolves to `true` if the lock of `file` is held. */
  function check(file: string, options?: CheckOptions): Promise<boolean>

  /**
   * Same as {@link lock}, but without promises.
   *
   * @throws {Error} Also `ESYNC`: it cannot retry.
   */
  function lockSync(file: string, options?: LockOptions): () => void

  /** Same as {@link unlock}, but without a promise. */
  function unlockSync(file: string, options?: UnlockOptions): void

  /** Same as {@link check}, but without a promise. */
  function checkSync(file: string, options?: CheckOptions): boolean
}

export = lock
