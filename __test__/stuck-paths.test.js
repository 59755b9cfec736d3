'use strict'

// Paths that do not answer, as on a dead mount, keep nobody else waiting. Leases stand for them: the kernel lets nobody open
// a file before the owner of its write lease has given it up.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { eventually, needs, script, Talker, temporaryPath, unavailable } = require('./support.js')

/** More than the threads that the package may have. */
const TOO_MANY = 520

/** Keeps write leases on new files until it ends. */
const OWNER = `
import fcntl, os, resource, signal, sys, time
count, folder = int(sys.argv[1]), sys.argv[2]
signal.signal(signal.SIGIO, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
files = []
for i in range(count):
    file = os.open(f'{folder}/stuck-{i}', os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    files.append(file)
print('ready', flush=True)
sys.stdin.read()
`

/** A process in whose folder so many paths do not answer, each of which it has been asked to lock, and that runs `source`. */
async function processWithStuck(t, count, source) {
  if (process.platform !== 'linux') return unavailable(t, 'leases are Linux’s') || undefined
  if (!needs(t, 'python3')) return undefined
  const file = temporaryPath(t)
  const owner = new Talker(t, 'python3', ['-c', OWNER, count, path.dirname(file)].map(String))
  assert.equal(await owner.line(), 'ready')
  const own = `
    const path = require('node:path')
    const [file, count] = process.argv.slice(1)
    const stuck = (i) => path.join(path.dirname(file), 'stuck-' + i)
    const opened = () => {
      const own = (task) => require('fs').readFileSync('/proc/self/task/' + task + '/comm', 'utf8').startsWith('locket-worker')
      return require('fs').readdirSync('/proc/self/task').filter(own).length
    }
    const held = lockFile(path.join(path.dirname(file), 'held')).acquireSync().path
    for (let i = 0; i < count; i++) lockFile(stuck(i)).acquire().catch(() => {})
    ${source}`
  return script(t, own, [file, String(count)])
}

for (const count of [1, 2, 3, 40]) {
  test(`a free file is locked while ${count} paths do not answer`, async (t) => {
    const it = await processWithStuck(t, count, `lockFile(file).acquire().then(() => console.log('acquired'))`)
    if (it) assert.equal(await eventually(it.line(), 'the lock'), 'acquired')
  })
}

test('a lock is handed over within the process while three paths do not answer', async (t) => {
  const it = await processWithStuck(
    t,
    3,
    `
    lockFile(file).run(async () => {
      for (let i = 0; i < 100; i++) lockFile(file).run(() => console.log(i))
    })`,
  )
  if (!it) return
  for (let i = 0; i < 100; i++) assert.equal(await eventually(it.line(), 'the hand-over'), String(i))
})

test('timeouts and aborts end waits for a held file though more paths do not answer than there may be threads', async (t) => {
  const it = await processWithStuck(
    t,
    TOO_MANY,
    `
    const full = async () => {
      while (opened() < 512) await new Promise((resolve) => setTimeout(resolve, 10))
      await lockFile(held).acquire({ timeout: 50 }).catch((error) => console.log(error.code))
      const controller = new AbortController()
      const wait = lockFile(held).acquire({ signal: controller.signal })
      setTimeout(() => controller.abort(), 50)
      await wait.catch((error) => console.log(error.name))
      process.exit(0)
    }
    full()`,
  )
  if (!it) return
  assert.equal(await eventually(it.line(), 'the end of the wait'), 'ERR_LOCK_TIMEOUT')
  assert.equal(await eventually(it.line(), 'the end of the wait'), 'AbortError')
})
