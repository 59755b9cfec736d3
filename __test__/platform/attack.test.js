'use strict'

// Everything that can be done to a lock file is done, while many lock it. A file has one holder at a time; what
// is not ours is never written; nothing is created where a link leads; nobody hangs.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { ROOT, temporaryFolder } = require('../support/folders.js')
const { GOOD_END, script } = require('../support/processes.js')
const { onUnix } = require('../support/systems.js')

const PROCESSES = 3
const TASKS = 6
/** How many things are done to the file, or more, until those that lock it have met what they have to. */
const ATTACKS = Number(process.env.LOCKET_ATTACKS ?? 2000)
/** What somebody has to meet: else nothing was seen of the attacks. */
const MET = ['held', 'EISDIR', 'ELOOP']
/** Nobody of no group, so that permissions count. */
const NOBODY = 65534

/** What may be said of a file under attack. */
const DOCUMENTED = ['held', 'ERR_LOCK_TIMEOUT', 'ENOENT', 'EISDIR', 'ELOOP', 'EACCES', 'ENXIO', 'ENOTDIR']

/**
 * A process that acquires the lock again and again. When its standard input ends, it says how often each thing came of it, and
 * when it held which file.
 */
const USERS = `
  const fs = require('node:fs')
  const path = require('node:path')
  const [root, file, tasks] = process.argv.slice(1)
  const sources = require(root + '/lib/file-lock.js')
  const outcomes = {}
  // [inode, begin, end], by the clock that all processes have.
  const holds = []
  let over = false
  // What is met for the first time is a file of that name beside the lock file.
  const count = (what) => {
    if (outcomes[what] === undefined) fs.writeFileSync(path.join(path.dirname(file), what.split('\\n')[0]), '')
    outcomes[what] = (outcomes[what] ?? 0) + 1
  }
  const now = () => Number(process.hrtime.bigint())
  // Some have a handle of their own for each round, others keep theirs; all have to give up some time.
  const task = async (number) => {
    const own = sources.lockFile(file)
    while (!over) {
      const lock = number % 2 ? own : sources.lockFile(file)
      try {
        await lock.acquire({ timeout: 20 })
      } catch (error) {
        count(error.code ?? error.stack)
        continue
      }
      const begin = now()
      const { ino } = fs.fstatSync(sources.descriptorOf(lock))
      // Others of this process run, and others of other processes.
      await new Promise(setImmediate)
      holds.push([ino, begin, now()])
      lock.release()
      count('held')
    }
  }
  process.stdin.on('end', () => { over = true }).resume()
  console.log('ready')
  const all = Array.from({ length: Number(tasks) }, (_, i) => task(i))
  Promise.all(all).then(() => console.log(JSON.stringify({ outcomes, holds })))`

/** Everything that can be done to the file, by a user who may write its folder. */
function attacks(file, { victim, nowhere, aside }) {
  const fresh = (make) => () => {
    fs.rmSync(file, { recursive: true, force: true })
    make()
  }
  const own = () => fs.writeFileSync(file, 'own')
  return {
    'is deleted': fresh(() => {}),
    'is new': fresh(own),
    'is renamed': () => fs.renameSync(file, aside),
    'is replaced': () => {
      // It may be a link by now that was moved here.
      fs.rmSync(aside, { recursive: true, force: true })
      fs.writeFileSync(aside, 'new')
      fs.renameSync(aside, file)
    },
    'is a link to the victim': fresh(() => fs.symlinkSync(victim, file)),
    'is a link to nothing': fresh(() => fs.symlinkSync(nowhere, file)),
    'is a link to itself': fresh(() => fs.symlinkSync(file, file)),
    'is the victim by another name': fresh(() => fs.linkSync(victim, file)),
    'is a folder': fresh(() => fs.mkdirSync(file)),
    'is a FIFO': fresh(() => spawnSync('mkfifo', [file])),
    'is a device': fresh(() => fs.symlinkSync('/dev/null', file)),
    'is cut': fresh(() => {
      own()
      fs.truncateSync(file)
    }),
    'may not be opened': fresh(() => {
      own()
      fs.chmodSync(file, 0)
    }),
    'may only be read': fresh(() => {
      own()
      fs.chmodSync(file, 0o444)
    }),
  }
}

/** Holds of one file that overlap. Inodes are not used again while somebody has the file open. */
function overlaps(holds) {
  const found = []
  const last = new Map()
  for (const hold of holds.sort((a, b) => a[1] - b[1])) {
    const [inode, begin, end] = hold
    const before = last.get(inode)
    if (before && before[2] > begin) found.push([before, hold])
    if (!before || before[2] < end) last.set(inode, hold)
  }
  return found
}

test('holds that overlap are seen', () => {
  const holds = [
    [1, 10, 20],
    [2, 15, 30],
    [1, 20, 25],
  ]
  assert.deepEqual(overlaps(holds), [])
  assert.equal(overlaps([...holds, [1, 24, 26]]).length, 1)
  assert.equal(overlaps([...holds, [2, 16, 17], [2, 29, 31]]).length, 2)
})

test('a lock file under attack', onUnix, async (t) => {
  const folder = temporaryFolder(t)
  fs.chmodSync(folder, 0o777)
  const places = Object.fromEntries(['victim', 'nowhere', 'aside'].map((name) => [name, path.join(folder, name)]))
  const file = path.join(folder, 'test.lock')
  fs.writeFileSync(places.victim, 'precious')
  fs.chmodSync(places.victim, 0o666)
  const before = fs.statSync(places.victim)

  const user = process.getuid() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  const children = Array.from({ length: PROCESSES }, () => script(t, USERS, [ROOT, file, String(TASKS)], user))
  for (const child of children) assert.equal(await child.line(), 'ready')

  const ways = Object.values(attacks(file, places))
  const haveMet = (what) => fs.existsSync(path.join(folder, what))
  let attacked = 0
  for (; attacked < ATTACKS || !MET.every(haveMet); attacked++) {
    try {
      ways[Math.floor(Math.random() * ways.length)]()
    } catch (error) {
      // It was created, or is gone, just before.
      if (!['ENOENT', 'EEXIST', 'EISDIR', 'ENOTDIR'].includes(error.code)) throw error
    }
    assert.equal(fs.existsSync(places.nowhere), false, 'a file was created where a link led')
    await new Promise(setImmediate)
  }
  fs.rmSync(file, { recursive: true, force: true })

  const holds = []
  const total = {}
  for (const child of children) {
    child.end()
    const told = JSON.parse(await child.line())
    for (const hold of told.holds) holds.push(hold)
    for (const [what, times] of Object.entries(told.outcomes)) total[what] = (total[what] ?? 0) + times
    assert.deepEqual(await child.ended(), GOOD_END)
  }
  t.diagnostic(`${attacked} attacks: ${JSON.stringify(total)}`)
  assert.deepEqual(
    Object.keys(total).filter((what) => !DOCUMENTED.includes(what)),
    [],
  )
  assert.ok(
    MET.every((what) => total[what] > 0),
    JSON.stringify(total),
  )
  assert.deepEqual(overlaps(holds), [])
  const { mtimeMs, size, mode } = fs.statSync(places.victim)
  assert.deepEqual({ mtimeMs, size, mode }, { mtimeMs: before.mtimeMs, size: before.size, mode: before.mode })
  assert.equal(fs.readFileSync(places.victim, 'utf8'), 'precious')
})
