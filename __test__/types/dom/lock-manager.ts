// A LockManager where code expects that of a browser: compiled with lib.dom.d.ts, which the other files are compiled without.

import { LockManager, type LockManagerRequestOptions, type LockManagerSnapshot } from '@locket/native'

/** Code that was written for browsers. */
async function deliver(locks: globalThis.LockManager, callback: LockGrantedCallback<Promise<string>>) {
  const { held = [] } = await locks.query()
  const options: LockOptions = { mode: 'shared' }
  return held.length === 0 ? locks.request('mailbox', callback) : locks.request('mailbox', options, callback)
}

export async function delivering(browser: globalThis.LockManager) {
  const ours = new LockManager('locks')
  const locks: globalThis.LockManager = ours
  const text: string = await deliver(locks, async (lock) => `${lock?.name}`)
  const snapshot: globalThis.LockManagerSnapshot = await ours.query()
  const options: LockManagerRequestOptions = { ifAvailable: true } satisfies LockOptions
  await ours.request(text, options, (lock: globalThis.Lock | null) => lock?.mode)
  // @ts-expect-error Those of browsers leave everything out.
  const own: LockManagerSnapshot = await browser.query()
  return { snapshot, own }
}
