'use strict'

// A process that uses the lock of a file often, in a way that it is told, and then says so (see warm-files.test.js). A way is
// one of `uses`, with "new" by a new handle each time, and with "worker" in a worker thread.

const { once } = require('node:events')
const readline = require('node:readline')
const { isMainThread, Worker, workerData } = require('node:worker_threads')

const { lockFile } = require('../..')

const OFTEN = 60

const uses = {
  async acquire(lock) {
    await lock.acquire()
    lock.release()
  },
  acquireSync: (lock) => lock.acquireSync().release(),
  async tryAcquire(lock) {
    if (await lock.tryAcquire()) lock.release()
  },
  run: (lock) => lock.run(() => {}),
}

async function use({ file, way }) {
  const kept = lockFile(file)
  const [name] = way.split(' ')
  for (let i = 0; i < OFTEN; i++) await uses[name](way.includes('new') ? lockFile(file) : kept)
}

if (isMainThread) {
  const file = process.argv[2]
  readline.createInterface({ input: process.stdin }).on('line', async (way) => {
    if (way.includes('worker')) await once(new Worker(__filename, { workerData: { file, way } }), 'exit')
    else await use({ file, way })
    console.log('used')
  })
} else {
  use(workerData)
}
