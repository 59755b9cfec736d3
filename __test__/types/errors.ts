// The public types of errors, as users use them. Compiled, never run: `npx tsc -p __test__/types`.

import { LockError, type LockErrorCode, type LockHolder, LockTimeoutError } from '@locket/native'

import { same } from './same'

same<
  LockErrorCode,
  | 'ERR_LOCK_TIMEOUT'
  | 'ERR_LOCK_NOT_HELD'
  | 'ERR_LOCK_UNSUPPORTED'
  | 'ERR_LOCK_DEADLOCK'
  | 'ERR_LOCK_LOST'
  | 'ERR_LOCK_PERMITS'
>(true)

export function errors(holders: LockHolder[]) {
  const error = new LockError('lost', { code: 'ERR_LOCK_LOST', path: '/x', cause: new Error() })
  const timeout = new LockTimeoutError('late', { path: '/x', timeout: 5 })
  new LockTimeoutError('late', { path: '/x', timeout: 5, holders, cause: 'why' })
  new LockTimeoutError('late', { path: '/x', timeout: 5, holders: undefined })
  same<typeof error.code, LockErrorCode>(true)
  same<typeof timeout.code, 'ERR_LOCK_TIMEOUT'>(true)

  // @ts-expect-error An error has a code and a path.
  new LockError('x')
  // @ts-expect-error An error has a path.
  new LockError('x', { code: 'ERR_LOCK_LOST' })
  // @ts-expect-error There is no such code.
  new LockError('x', { code: 'ERR_LOCK_LOOSE', path: '/x' })
  // @ts-expect-error A timeout has a timeout.
  new LockTimeoutError('x', { path: '/x' })
  // @ts-expect-error The code of a timeout is its own.
  new LockTimeoutError('x', { path: '/x', timeout: 5, code: 'ERR_LOCK_LOST' })
}

export function switching(error: LockError) {
  switch (error.code) {
    case 'ERR_LOCK_TIMEOUT':
      return error.code satisfies 'ERR_LOCK_TIMEOUT'
    // @ts-expect-error A code that is misspelt is never met.
    case 'ERR_LOCK_NOTHELD':
      return 'misspelt'
    case 'ERR_LOCK_NOT_HELD':
    case 'ERR_LOCK_UNSUPPORTED':
    case 'ERR_LOCK_DEADLOCK':
    case 'ERR_LOCK_LOST':
    case 'ERR_LOCK_PERMITS':
      return 'known'
    default:
      // Nothing is left.
      return error.code satisfies never
  }
}

export function telling(error: unknown) {
  if (error instanceof LockTimeoutError) {
    same<typeof error.timeout, number>(true)
    const lockError: LockError = error
    same<typeof error.code, 'ERR_LOCK_TIMEOUT'>(true)
    same<ReturnType<typeof error.toJSON>, object>(true)
    // @ts-expect-error Told, not set.
    error.timeout = 5
    return `${lockError.path} after ${error.timeout}`
  }
  if (error instanceof LockError) {
    same<typeof error.code, LockErrorCode>(true)
    same<typeof error.path, string>(true)
    const plain: Error = error
    // @ts-expect-error Only a timeout has one.
    error.timeout
    // @ts-expect-error Told, not set.
    error.code = 'ERR_LOCK_LOST'
    // @ts-expect-error There is no such code.
    if (error.code === 'ERR_LOCK_TIMED_OUT') return
    // @ts-expect-error Told, not set.
    error.path = 'elsewhere.lock'
    return plain.message
  }
}
