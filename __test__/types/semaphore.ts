// The public types of semaphores, as users use them. Compiled, never run: `npx tsc -p __test__/types`.

import {
  type AcquirePermitOptions,
  type LockHolder,
  type LockPath,
  type Permit,
  type Semaphore,
  type SemaphoreOptions,
  semaphore,
  type TryAcquirePermitOptions,
} from '@locket/native'

import { same } from './same'

/** The properties of an options type, written out. */
type Flat<T> = { [K in keyof T]: T[K] }
same<SemaphoreOptions, { timeout?: number | undefined; fileMode?: number | undefined }>(true)
same<Flat<AcquirePermitOptions>, { timeout?: number | undefined; signal?: AbortSignal | undefined }>(true)
same<TryAcquirePermitOptions, { signal?: AbortSignal | undefined }>(true)
same<Parameters<typeof semaphore>, [path: LockPath, permits: number, options?: SemaphoreOptions | undefined]>(true)
same<ReturnType<typeof semaphore>, Semaphore>(true)

export function making() {
  semaphore('build.slots', 4)
  semaphore(Buffer.from('build.slots'), 4, {})
  semaphore(new URL('file:///tmp/build.slots'), 4, { timeout: 30_000, fileMode: 0o600 })

  // @ts-expect-error The number of permits is needed.
  semaphore('build.slots')
  // @ts-expect-error A number, not its digits.
  semaphore('build.slots', '4')
  // @ts-expect-error A permit has no mode.
  semaphore('build.slots', 4, { mode: 'shared' })
  // @ts-expect-error A semaphore has no protocol.
  semaphore('build.slots', 4, { protocol: 'flock' })
  // @ts-expect-error A signal is for one wait, not for a semaphore.
  semaphore('build.slots', 4, { signal: AbortSignal.timeout(5) })
}

export async function using(it: Semaphore, signal: AbortSignal) {
  same<typeof it.path, string>(true)
  same<typeof it.permits, number>(true)
  const permit = await it.acquire()
  same<typeof permit, Permit>(true)
  same<typeof permit.held, boolean>(true)
  same<typeof permit.lost, AbortSignal>(true)
  same<ReturnType<typeof permit.release>, void>(true)
  await it.acquire(0)
  await it.acquire({ timeout: 5000, signal })
  await it.acquire({ timeout: undefined, signal: undefined })

  const tried = await it.tryAcquire()
  same<typeof tried, Permit | undefined>(true)
  tried?.release()
  await it.tryAcquire({ signal })
  same<Awaited<ReturnType<typeof it.holders>>, LockHolder[] | undefined>(true)

  const result = await it.run(async (own) => {
    same<typeof own, Permit>(true)
    return 'built'
  }, 5000)
  same<typeof result, string>(true)

  await using first = await it.acquire()
  using second = await it.acquire()

  // @ts-expect-error It may be undefined.
  tried.release()
  // @ts-expect-error Not awaited: a promise is not to be disposed of.
  using early = it.acquire()
  // @ts-expect-error Not acquired: nothing is held.
  using nothing = it
  // @ts-expect-error A permit has no mode.
  await it.acquire({ mode: 'shared' })
  // @ts-expect-error A try has no timeout.
  await it.tryAcquire({ timeout: 5 })
  // @ts-expect-error A permit is acquired once.
  permit.acquire()
  // @ts-expect-error A permit is released by itself.
  it.release()
  // @ts-expect-error Told, not set.
  it.permits = 5
  // @ts-expect-error A task is needed.
  await it.run()
  return [first, second, early, nothing].length
}
