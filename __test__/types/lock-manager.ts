// The types of LockManager, as users use them. How they fit those of browsers is in dom/lock-manager.ts.

import {
  type Lock,
  LockManager,
  type LockManagerInfo,
  type LockManagerRequestOptions,
  type LockManagerSnapshot,
  type LockMode,
  type LockPath,
} from '@locket/native'

import { same } from './same'

same<ConstructorParameters<typeof LockManager>, [folder: LockPath]>(true)
same<Lock, { readonly name: string; readonly mode: LockMode }>(true)
same<LockManagerInfo, { name: string; mode: LockMode; clientId: string }>(true)
same<LockManagerSnapshot, { held: LockManagerInfo[]; pending: LockManagerInfo[] }>(true)
same<
  LockManagerRequestOptions,
  {
    mode?: LockMode | undefined
    ifAvailable?: boolean | undefined
    steal?: boolean | undefined
    signal?: AbortSignal | undefined
    timeout?: number | undefined
  }
>(true)

export async function requesting(manager: LockManager, signal: AbortSignal, ifAvailable: boolean) {
  const number = await manager.request('a', () => 5)
  same<typeof number, number>(true)
  const text = await manager.request('a', { mode: 'shared', signal, timeout: 5 }, async (lock) => lock.name)
  same<typeof text, string>(true)
  const nothing = await manager.request('a', { steal: true }, ({ mode }) => void mode)
  same<typeof nothing, undefined>(true)
  manager.request('a', { ifAvailable: true }, (lock) => same<typeof lock, Lock | null>(true))
  manager.request('a', { ifAvailable }, (lock) => same<typeof lock, Lock | null>(true))
  manager.request('a', { ifAvailable: false }, (lock) => same<typeof lock, Lock>(true))
  manager.request('a', { mode: undefined, signal: undefined, timeout: undefined }, () => {})
  const options: LockManagerRequestOptions = { timeout: 5 }
  manager.request('a', options, (lock) => same<typeof lock, Lock | null>(true))

  // @ts-expect-error The lock may be null.
  manager.request('a', { ifAvailable: true }, (lock: Lock) => lock.name)
  // @ts-expect-error There is no such mode.
  manager.request('a', { mode: 'write' }, () => {})
  // @ts-expect-error There is no such option.
  manager.request('a', { wait: 5 }, () => {})
  // @ts-expect-error A callback is needed.
  manager.request('a')
  // @ts-expect-error A callback is needed.
  manager.request('a', {})
  // @ts-expect-error A name is a string.
  manager.request(5, () => {})
  // @ts-expect-error A folder is needed.
  new LockManager()
}

export async function querying(manager: LockManager) {
  const { held, pending } = await manager.query()
  const [first] = [...held, ...pending]
  same<typeof first, LockManagerInfo>(true)
}
