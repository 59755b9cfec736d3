'use strict'

// A child process never has a part in the locks of its parent.

const assert = require('node:assert/strict')
const { execFile, spawnSync } = require('node:child_process')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')

const { lockFile } = require('../..')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { descriptorsOf } = require('../support/kernel.js')
const { isAlive, script, waiterOf } = require('../support/processes.js')
const { onLinux, WINDOWS } = require('../support/systems.js')
const { Thread } = require('../support/threads.js')

/** Starts a child when it holds the lock, or while it waits for it. Its first line of input releases the lock. */
const PARENT = `
  const { exec, fork, spawn, spawnSync } = require('node:child_process')
  const [file, way, when, child] = process.argv.slice(1)
  const line = '"' + process.execPath + '" "' + child + '"'
  const ways = {
    spawn: () => spawn(process.execPath, [child], { stdio: 'inherit' }),
    'spawn, detached': () =>
      spawn(process.execPath, [child], { stdio: ['ignore', 'inherit', 'ignore'], detached: true }),
    'spawn by a shell': () => spawn(line, { stdio: 'inherit', shell: true }),
    exec: () => exec(line).stdout.pipe(process.stdout),
    fork: () => fork(child),
    spawnSync: () => spawnSync(process.execPath, [child], { stdio: 'inherit' }),
  }
  const main = async () => {
    const lock = lockFile(file)
    const wait = lock.acquire().then(() => console.log('acquired'))
    if (when === 'holding') await wait
    else console.log('waiting')
    process.stdin.once('data', () => {
      lock.release()
      console.log('released')
    })
    ways[way]()
  }
  main()`

const CHILD = require.resolve('../fixtures/outlives.js')

/** Such a process and its child, once both have spoken. */
async function family(t, file, way, when) {
  const pids = []
  // Before the parent's own hook, since that waits until the child, too, has closed its output.
  t.after(() => pids.filter(isAlive).map((pid) => process.kill(pid, 'SIGKILL')))
  const parent = script(t, PARENT, [file, way, when, CHILD])
  // They write to one pipe, in either order.
  const lines = [await parent.line(), await parent.line()].sort()
  pids.push(Number(lines[0]))
  assert.equal(lines[1], when === 'holding' ? 'acquired' : 'waiting')
  return { parent, child: pids[0] }
}

const kill = ({ pid }) => process.kill(pid, 'SIGKILL')

async function release(parent) {
  parent.say('release')
  assert.equal(await parent.line(), 'released')
}

const WAYS = ['spawn', 'spawn, detached', 'spawn by a shell', 'exec', 'fork']

/** What the parent does with its lock, and with whichever children. */
const CASES = [
  {
    name: 'does not keep the lock of a parent that is killed',
    when: 'holding',
    end: kill,
    ways: [...WAYS, 'spawnSync'],
  },
  { name: 'does not keep the lock that its parent releases', when: 'holding', end: release, ways: WAYS },
  { name: 'that is started while its parent waits has no part in the lock', when: 'waiting', end: kill, ways: WAYS },
]

for (const { name, when, end, ways } of CASES) {
  for (const way of ways) {
    test(`a child (${way}) ${name}`, async (t) => {
      const file = temporaryPath(t)
      const lock = when === 'waiting' ? await lockFile(file).acquire() : undefined
      const { parent, child } = await family(t, file, way, when)
      if (lock) {
        lock.release()
        assert.equal(await parent.line(), 'acquired')
      }
      const { acquired } = await waiterOf(t, file)
      await end(parent)
      assert.equal(await acquired, 'acquired')
      // Windows ends most children of a process along with it.
      if (!WINDOWS || end !== kill) assert.ok(isAlive(child))
    })
  }
}

test('children see no descriptor of a lock file', onLinux, async (t) => {
  const folder = temporaryFolder(t)
  const held = await lockFile(path.join(folder, 'held')).acquire()
  assert.ok(descriptorsOf(held.path).length > 0, 'the descriptor of the lock that is held cannot be seen at all')

  let spawning = true
  const turns = Array.from({ length: 8 }, async (_, i) => {
    const lock = lockFile(path.join(folder, `${i % 4}`))
    while (spawning) await lock.run(() => new Promise(setImmediate))
  })
  for (let round = 0; round < 20; round++) {
    const lists = Array.from({ length: 3 }, () => promisify(execFile)('ls', ['-l', '/proc/self/fd']))
    for (const { stdout } of await Promise.all(lists)) {
      assert.match(stdout, / 1 -> /)
      assert.ok(!stdout.includes(folder), stdout)
    }
  }
  spawning = false
  await Promise.all(turns)
  held.release()
})

test('a lock is free when release() returns, even while a child is being started', async (t) => {
  const thread = new Thread(t, temporaryPath(t))
  const number = () => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const [stop, turns] = [number(), number()]
  assert.equal(await thread.ask('held'), false)
  thread.say('retake', { stop, turns })
  // On until there was enough to be seen, however little of the processor the thread gets.
  for (let i = 0; i < 100 || Atomics.load(turns, 0) < 100; i++) spawnSync(process.execPath, ['--version'])
  Atomics.store(stop, 0, 1)
  assert.equal(await thread.answer(), 0)
})
