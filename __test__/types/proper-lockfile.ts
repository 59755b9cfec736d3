// The drop-in has the types of proper-lockfile (@types/proper-lockfile). Compiled, never run: `npx tsc -p __test__/types`.

import ours = require('@locket/native/proper-lockfile')
import theirs = require('proper-lockfile')

import { same } from './same'

// What is written for the one compiles with the other.
export const functions: typeof theirs = ours

export function options(lock: theirs.LockOptions, unlock: theirs.UnlockOptions, check: theirs.CheckOptions) {
  const all: [ours.LockOptions, ours.UnlockOptions, ours.CheckOptions] = [lock, unlock, check]
  return all
}

same<keyof ours.LockOptions, keyof theirs.LockOptions>(true)
same<keyof ours.UnlockOptions, keyof theirs.UnlockOptions>(true)
same<keyof ours.CheckOptions, keyof theirs.CheckOptions>(true)

export async function using() {
  const release = await ours('file', { retries: { retries: 5, minTimeout: 100, maxTimeout: 200, unref: true } })
  same<typeof release, () => Promise<void>>(true)
  await release()
  same<ReturnType<typeof ours.lockSync>, () => void>(true)
  await ours.unlock('file', { realpath: false, lockfilePath: 'file.lock' })
  same<ReturnType<typeof ours.check>, Promise<boolean>>(true)
  if (ours.checkSync('file', { stale: 5000 })) ours.unlockSync('file')

  // @ts-expect-error A path is needed.
  ours.lock()
  // @ts-expect-error There is no such option.
  ours.lock('file', { timeout: 5 })
  // @ts-expect-error It is not a function of check.
  ours.check('file', { retries: 5 })
  // @ts-expect-error There is no such option of retries.
  ours.lock('file', { retries: { times: 5 } })
}
