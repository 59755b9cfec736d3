'use strict'

// Locks that are broken on purpose, to see the storm find that out.

const WAYS = {
  /** Says that it has the lock without asking for it. */
  skip: { acquires: false, releases: false },
  /** Releases before its hold is over. */
  early: { acquires: true, releases: true },
  /** Never releases. */
  keep: { acquires: true, releases: false },
}

/** What has the methods of `lock` that attempts use, and is broken in this way. Good for one attempt. */
function broken(lock, way) {
  const { acquires, releases } = WAYS[way]
  const self = {
    held: false,
    acquire: async (options) => obtained(acquires && (await lock.acquire(options))),
    acquireSync: (options) => obtained(acquires && lock.acquireSync(options)),
    tryAcquire: async (options) => (!acquires || (await lock.tryAcquire(options))) && Boolean(obtained()),
    tryAcquireSync: (options) => (!acquires || lock.tryAcquireSync(options)) && Boolean(obtained()),
    async run(task, options) {
      await self.acquire(options)
      return task(self)
    },
    release() {},
    [Symbol.dispose ?? 'dispose']() {},
  }
  function obtained() {
    if (releases) lock.release()
    self.held = true
    return self
  }
  return self
}

module.exports = { WAYS: Object.keys(WAYS), broken }
