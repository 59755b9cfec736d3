/// <reference types="node" />

// Without @types/pg, which is optional, it is any type.
// @ts-ignore
import type { ClientConfig } from 'pg'

/** The mode of a lock. `'exclusive'` allows one holder, `'shared'` any number, as in the Web Locks API. */
export type LockMode = 'exclusive' | 'shared'

/** The codes of a {@link LockError}. */
export type LockErrorCode =
  | 'ERR_LOCK_TIMEOUT'
  | 'ERR_LOCK_NOT_HELD'
  | 'ERR_LOCK_UNSUPPORTED'
  | 'ERR_LOCK_DEADLOCK'
  | 'ERR_LOCK_LOST'

/** Options of {@link PostgresLock.tryAcquire}. */
export interface TryAcquireOptions {
  /** The requested mode. Defaults to the mode of the handle. */
  mode?: LockMode | undefined
  /** Ends the wait when it fires. May come from another realm or a polyfill. */
  signal?: AbortSignal | undefined
}

/** Options of {@link PostgresLock.acquire} and {@link PostgresLock.run}. */
export interface AcquireOptions extends TryAcquireOptions {
  /**
   * The longest wait, in milliseconds, with the time that connecting takes. `0` tries once, `Infinity` waits without limit.
   * Limits the wait, never the hold. Defaults to the timeout of the handle.
   */
  timeout?: number | undefined
}

/** Options of {@link postgresLock}. */
export interface PostgresLockOptions {
  /**
   * The connection: a connection string (`postgres://…`, or the path of a socket) or `URL`, or the options of a `Client` of
   * `pg`. Not a `Client` or `Pool`: a lock needs sessions of its own. By default, `pg` takes it from environment variables
   * (`PGHOST`, …), each time that a session is opened.
   *
   * Handles with an equal connection share sessions. Functions in it are equal to themselves only.
   */
  connection?: string | URL | (ClientConfig & { connect?: never }) | undefined
  /** The default timeout of every acquire of this handle, in milliseconds. Defaults to `Infinity`. */
  timeout?: number | undefined
  /** The default mode of every acquire of this handle. Defaults to `'exclusive'`. */
  mode?: LockMode | undefined
  /**
   * The most sessions that this thread opens for the locks of this connection. Each name that is held or waited for needs one;
   * further names wait their turn. All sessions of the connection count, also those for other handles. A program that waits
   * for a name while it holds as many waits until it releases one of them. `isLocked()` and `holders()` may take one session
   * more. Defaults to `10`.
   */
  maxSessions?: number | undefined
  /**
   * Allows a connection pooler between this program and the server. It must give each client a session of its own (session
   * mode): with any other mode, locks exclude nobody. Defaults to `false`: a pooler is refused with `ERR_LOCK_UNSUPPORTED`.
   */
  allowPooler?: boolean | undefined
}

/** A session that holds a lock. */
export interface PostgresLockHolder {
  /** The process ID of the holder. Missing if it does not use this package, or has an `application_name` of its own. */
  pid?: number
  /** The name of its host. Missing as `pid` is. */
  host?: string
  /** The mode in which it holds the lock. */
  mode: LockMode
  /** The process ID of its session at the server, as `pg_terminate_backend()` takes it. */
  serverPid: number
  /** The `application_name` of its session. `locket:HOST:PID` by default. */
  application: string
  /** The address from which it is connected. Missing for a Unix socket, and if the server does not tell this user. */
  address?: string
}

/**
 * Returns a handle for the lock of this name. Same as `new PostgresLock(name, options)`.
 *
 * Connects to nothing: acquiring does. The name can be any string that is not empty, has no null character, and can be written
 * in the encoding of the database. A lone surrogate counts as U+FFFD. The name is valid in the database of the connection.
 *
 * @throws {TypeError | RangeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`: an argument
 * is invalid.
 *
 * @example
 * const lock = await postgresLock('nightly-report', { connection: process.env.DATABASE_URL }).acquire(5000)
 * try { await report() } finally { await lock.release() }
 */
export function postgresLock(name: string, options?: PostgresLockOptions): PostgresLock

/**
 * A handle for the lock of one name. All handles of the same name in the same database, on any host, share one lock.
 *
 * A handle holds its lock at most once at a time. The lock is not re-entrant: acquiring a lock that is held waits, even if this
 * handle holds it. A handle belongs to its thread, and cannot be cloned or posted to another.
 *
 * Each acquire is published on the tracing channel `locket.postgres.acquire` of `node:diagnostics_channel`. The message has
 * `name`, `mode` and `timeout`, and once the lock is held `token`. Each release is published on the plain channel
 * `locket.postgres.release`, with `name` and the same `token`.
 */
export class PostgresLock {
  /** Same as {@link postgresLock}. */
  constructor(name: string, options?: PostgresLockOptions)

  /** The name. */
  readonly name: string

  /** `true` while this handle holds the lock, as far as is known. */
  readonly held: boolean

  /**
   * A signal that fires if the lock is lost while this handle holds it. Its reason is a {@link LockError} with the code
   * `ERR_LOCK_LOST`. `held` is `false` from then on.
   *
   * The lock is lost when its session ends: the server restarts, somebody terminates the session, or the network fails. A
   * server that is silent for three seconds counts as gone, which is before it gives the lock to the next holder. A process that
   * is paused notices when it goes on, which can be too late: see {@link PostgresLock.token}.
   *
   * `release()` and `run()` report a loss as an error too, disposal does not. Each acquisition has its own signal.
   * Before an acquire, this is the signal of the next acquisition.
   */
  readonly lost: AbortSignal

  /**
   * The token of the last acquisition, or `undefined` before the first one: a number that is greater for every later holder of
   * the lock. Storage that refuses a smaller token than it has seen is safe from a holder that has not noticed the loss of its
   * lock. Shared holders in one thread can have the same token.
   */
  readonly token: bigint | undefined

  /**
   * Waits for the lock, and resolves to this handle, which then holds it. Within the thread, requests are served in the order in
   * which they were made; between sessions, the server keeps a queue. A pending acquire keeps the process alive; a held lock
   * does not.
   *
   * A wait that ends without the lock has let go of it for certain when its promise is rejected. If the server does not answer,
   * that takes about two seconds longer. Without a timeout, a wait at a server that is stopped may never end.
   *
   * @param options The options, or the timeout alone, in milliseconds.
   * @throws {LockTimeoutError} `ERR_LOCK_TIMEOUT`: the wait ended without the lock.
   * @throws {LockError} `ERR_LOCK_UNSUPPORTED`: the server is behind a pooler, is a standby, is older than PostgreSQL 13 or
   * another product. `ERR_LOCK_DEADLOCK`: the server has found that the wait would never end.
   * @throws {Error} `ABORT_ERR`: the signal fired; `cause` is its reason. `ECONNREFUSED`, `28P01`, …, or no code: an error of
   * the connection or of the server, as `pg` has it. `53300`: the server has no connection left; this is not waited for.
   * @throws {TypeError | RangeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`: an option
   * is invalid.
   */
  acquire(options?: number | AcquireOptions): Promise<HeldPostgresLock>

  /**
   * Tries once. Resolves to `true` if this handle now holds the lock, and to `false` if it is held already, other requests of
   * this thread wait for it, or all sessions are in use. Shared tries that are made at once get the lock together. Rejects as
   * {@link PostgresLock.acquire} does.
   */
  tryAcquire(options?: TryAcquireOptions): Promise<boolean>

  /**
   * Releases the lock that this handle holds. Resolves when the server has released it, so that the next request can have it.
   *
   * @throws {LockError} `ERR_LOCK_NOT_HELD`: this handle does not hold it. `ERR_LOCK_LOST`: it was lost, see {@link
   * PostgresLock.lost}.
   */
  release(): Promise<void>

  /**
   * Acquires the lock, calls `task` with this handle, awaits its result, and releases the lock, even if the task fails.
   * Resolves to the result of the task, or rejects with its error.
   *
   * A signal that fires before the task is called keeps it from being called. A task that awaits another acquire of the same
   * lock waits for itself for ever; the process warning `LOCKET_NESTED_RUN` tells this after a second. A task that releases the
   * lock and acquires it again holds it afterwards.
   *
   * @param options The options, or the timeout alone, in milliseconds.
   * @throws As {@link PostgresLock.acquire}. Also `ERR_LOCK_LOST`: the task has succeeded, but the lock was lost meanwhile.
   */
  run<T>(task: (lock: HeldPostgresLock) => T | PromiseLike<T>, options?: number | AcquireOptions): Promise<T>

  /** Resolves to `true` if any session of the server holds the lock now, in any mode. Rejects as an acquire does. */
  isLocked(): Promise<boolean>

  /**
   * Resolves to the sessions that hold the lock now, on all hosts, whatever program they belong to. Never takes the lock. The
   * answer describes one moment. Rejects as an acquire does.
   */
  holders(): Promise<PostgresLockHolder[]>
}

/**
 * A {@link PostgresLock} that holds its lock: the handle itself, as an acquire returns it. Only this type can be declared with
 * `await using`, since a handle that holds no lock has nothing to dispose of.
 */
export interface HeldPostgresLock extends PostgresLock, AsyncDisposable {
  /** The token of this acquisition, see {@link PostgresLock.token}. */
  readonly token: bigint
  /** Releases the lock if this handle holds it. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>
}

/** An error of the lock itself. An error of the server or the connection is an `Error` with the fields that `pg` gives it. */
export class LockError extends Error {
  constructor(message: string, fields: { code: LockErrorCode; lockName: string; cause?: unknown })

  /** The kind of the error. */
  readonly code: LockErrorCode
  /** The name of the lock. */
  readonly lockName: string
  /** Returns the name, message and fields for `JSON.stringify()`. */
  toJSON(): object
}

/** The error of a wait that ended without the lock. */
export class LockTimeoutError extends LockError {
  constructor(
    message: string,
    fields: { lockName: string; timeout: number; holders?: PostgresLockHolder[] | undefined; cause?: unknown },
  )

  readonly code: 'ERR_LOCK_TIMEOUT'
  /** The requested longest wait, in milliseconds. */
  readonly timeout: number
  /** The sessions that held the lock when the wait ended, or `undefined` if no session of this thread could ask. */
  readonly holders: PostgresLockHolder[] | undefined
}
