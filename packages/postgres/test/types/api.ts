// The public types, as users use them. Compiled, never run: `npx tsc -p packages/postgres/test/types`.

import {
  type AcquireOptions,
  type HeldPostgresLock,
  LockError,
  type LockErrorCode,
  type LockMode,
  LockTimeoutError,
  PostgresLock,
  type PostgresLockHolder,
  type PostgresLockOptions,
  postgresLock,
  type TryAcquireOptions,
} from '@locket/postgres'
import { Client, type ClientConfig, Pool } from 'pg'

import { same } from '../../../../__test__/types/same'

/** The properties of an options type, written out. */
type Flat<T> = { [K in keyof T]: T[K] }
same<
  PostgresLockOptions,
  {
    connection?: string | URL | (ClientConfig & { connect?: never }) | undefined
    timeout?: number | undefined
    mode?: LockMode | undefined
    maxSessions?: number | undefined
    allowPooler?: boolean | undefined
  }
>(true)
same<TryAcquireOptions, { mode?: LockMode | undefined; signal?: AbortSignal | undefined }>(true)
same<
  Flat<AcquireOptions>,
  { timeout?: number | undefined; mode?: LockMode | undefined; signal?: AbortSignal | undefined }
>(true)
same<ReturnType<typeof postgresLock>, PostgresLock>(true)

export function making() {
  postgresLock('report')
  postgresLock('report', { connection: 'postgres://localhost/db', timeout: 30_000, mode: 'shared' })
  new PostgresLock('report', { connection: { host: 'localhost' }, maxSessions: 3, allowPooler: true })
  postgresLock('report', { connection: new Pool().options })

  const config: ClientConfig = { ssl: true }
  postgresLock('report', { connection: config })

  // @ts-expect-error A lock needs sessions of its own.
  postgresLock('report', { connection: new Client() })
  // @ts-expect-error Likewise.
  postgresLock('report', { connection: new Pool() })
  // @ts-expect-error A name is text.
  postgresLock(7)
  // @ts-expect-error The options are an object.
  postgresLock('report', 'postgres://localhost/db')
  // @ts-expect-error There is no such option.
  postgresLock('report', { connectionString: 'postgres://localhost/db' })
  // @ts-expect-error A signal is for one wait.
  postgresLock('report', { signal: AbortSignal.timeout(5) })
}

export async function using(lock: PostgresLock, signal: AbortSignal) {
  same<typeof lock.name, string>(true)
  same<typeof lock.held, boolean>(true)
  same<typeof lock.token, bigint | undefined>(true)
  same<typeof lock.lost, AbortSignal>(true)

  const held = await lock.acquire()
  same<typeof held, HeldPostgresLock>(true)
  same<typeof held.token, bigint>(true)
  same<ReturnType<typeof held.release>, Promise<void>>(true)
  await lock.acquire(5000)
  await lock.acquire({ timeout: 5000, mode: 'shared', signal })
  same<Awaited<ReturnType<typeof lock.tryAcquire>>, boolean>(true)
  await lock.tryAcquire({ mode: 'shared', signal })
  const result = await lock.run(async (own) => {
    same<typeof own, HeldPostgresLock>(true)
    return own.token
  }, 5000)
  same<typeof result, bigint>(true)
  same<Awaited<ReturnType<typeof lock.isLocked>>, boolean>(true)
  same<Awaited<ReturnType<typeof lock.holders>>, PostgresLockHolder[]>(true)

  // @ts-expect-error A try has no timeout.
  await lock.tryAcquire({ timeout: 5 })
  // @ts-expect-error There are no synchronous forms.
  lock.acquireSync()
}

export async function disposing(lock: PostgresLock) {
  await using held = await lock.acquire()
  same<typeof held, HeldPostgresLock>(true)
  // @ts-expect-error A handle that holds no lock has nothing to dispose of.
  await using _nothing = lock
  // @ts-expect-error Releasing takes a round trip.
  using _late = await lock.acquire()
}

export function errors(error: unknown) {
  if (error instanceof LockTimeoutError) {
    same<typeof error.code, 'ERR_LOCK_TIMEOUT'>(true)
    same<typeof error.timeout, number>(true)
    same<typeof error.holders, PostgresLockHolder[] | undefined>(true)
  } else if (error instanceof LockError) {
    same<typeof error.code, LockErrorCode>(true)
    same<typeof error.lockName, string>(true)
    same<ReturnType<typeof error.toJSON>, object>(true)
  }
  new LockError('lost', { code: 'ERR_LOCK_LOST', lockName: 'report' })
  new LockTimeoutError('late', { lockName: 'report', timeout: 5, holders: [] })
}
