'use strict'

// The tests that fail in a runtime, and why. They are run all the same.
//
// `text`: what users of the runtime have to know, as it stands in docs/runtimes.md. `why`: the test is about something that
// the runtime has not, or does not do as Node does; nothing of the package is missing there.

const LIMITS = [
  {
    on: /^deno /,
    tests: /^terminate\(\) ends a worker that waits in acquireSync/,
    text:
      '`terminate()` does not wait for a worker that is blocked in `acquireSync()`, and cannot end it. The thread stays in ' +
      'the queue until it is its turn, and then gives the lock up at once. Use a `timeout`, or `acquire()`.',
  },
  {
    on: /^deno /,
    tests: /^a signal whose event an earlier listener stops/,
    text:
      'A listener on the signal that calls `event.stopImmediatePropagation()`, and was added before the wait began, keeps ' +
      'the wait from hearing of the abort.',
  },
  {
    on: /^bun /,
    tests: /^a handle cannot be cloned/,
    text: '`structuredClone()` and `postMessage()` turn a handle into an empty object, instead of throwing.',
  },
  {
    on: /^bun /,
    tests: /^children see no descriptor|^a subscriber that throws|^a worker that fails/,
    why: 'it reports the error in question in another place',
  },
  {
    on: /^(bun|deno) /,
    tests:
      /^(acquire|tryAcquire|run) (with a signal that had|rejects when the signal) fire|^the reason of a signal that is a timeout/,
    why: 'its AbortError has other own properties',
  },
  {
    on: /^bun /,
    tests: /^who subscribes before the package is loaded/,
    why: 'a channel that nothing refers to loses its subscribers',
  },
  { on: /^bun /, tests: /^a lock whose handle is garbage/, why: 'its gc() does not collect the handle at once' },
  { on: /^(bun|deno) /, tests: /^says who was in the way$/, why: 'its program is not called node' },
  {
    on: /^(bun|deno) /,
    tests: /^one thread at a time has the lock/,
    why: 'its process.hrtime() is one of each thread',
  },
  {
    on: /^(bun|deno) /,
    tests:
      /^is undefined, and no error, without \/proc|^questions during a reading|^an error of a timeout does not wait for the holders|^a command line that cannot be read/,
    why: 'it does not start under a slowed down or missing /proc',
  },
  {
    on: /^deno /,
    tests: /not UTF-8|^shows of a command line only|^children see no descriptor|even while a child is being started/,
    why: 'its node:fs and node:child_process know no bytes that are not UTF-8, and no descriptors',
  },
  {
    on: /^deno /,
    tests: /^the locks and waits of all threads|^a worker that ends by itself|^a worker stays until/,
    why: 'a listener on parentPort keeps a worker alive, also after unref()',
  },
  {
    on: /^qemu /,
    tests: /^says who was in the way$/,
    why: 'the program of its processes is qemu',
  },
  {
    on: /^qemu /,
    tests: /^a release of what another handle holds says whose it is|^a timeout names the holder/,
    why: 'it makes up the start time of its own process, by which a lock entry names its holder, and not those of others',
  },
  {
    on: /^qemu node 20\.11\./,
    tests: /^few permissions are enough/,
    why: 'it has no --allow-addons yet',
  },
  {
    on: /^wine /,
    tests:
      /^one file is one lock by any spelling|^waiters by different spellings|^a handle whose mode is shared can lock exclusively|^the signal fires (as soon|although)|^of several that are lost|^run\(\) rejects after its task|^disposal reports nothing, and leaves|^breakLock\(\) says/,
    why: 'it has no symbolic links',
  },
  {
    on: /^wine /,
    tests: /^a release of what another handle holds says whose it is|^a timeout names the holder/,
    why: 'it has no streams of NTFS, in which the mark of the holder is',
  },
  {
    on: /./,
    tests: /^two copies of the package/,
    why: 'it looks for the binary of the clone',
  },
]

module.exports = { LIMITS }
