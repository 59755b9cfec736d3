'use strict'

// Races, forced: one process is stopped before each of its system calls in turn, meanwhile another one does all that it
// wants, and then the first one goes on. No two hold the lock at once, and nobody's live lock is removed; but where a peer
// removes by its path what it has judged before (what its authors know), ours notices its loss, and leaves the other alone.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { AGENT, Talker } = require('../../support/processes.js')
const { temporaryFolder } = require('../../support/folders.js')
const { isUnavailable, Subject } = require('../../support/system-calls/subject.js')
const { until } = require('../../support/waiting.js')
const { commandOf, entryOf, PEERS, PROTOCOLS } = require('./peers.js')

/** More system calls than any of them makes for a lock. */
const MOST_CALLS = 60

/**
 * After so many milliseconds a lock of 'lockfile' is stale here: longer than it takes to stop one process and let another
 * one act.
 */
const STALE = 5000

/** Peers that remove by its path what they have judged to be stale: between the two, it may have become a live lock. */
const REMOVES_BY_PATH = ['lockfile', 'lockfile-sync', 'dotlockfile', 'lockfile-create']

/** What is in the way of stopping processes. */
const obstacle = isUnavailable()

const lstat = (entry) => fs.lstatSync(entry, { throwIfNoEntry: false, bigint: true })

/** Another process of ours, in the place of a peer. */
const OURS = 'another process of ours'

const RIVALS = [
  ...Object.entries(PEERS),
  ...PROTOCOLS.map((protocol) => [OURS, { protocol, dead: 'never', options: {} }]),
]

/** How the programs of a race are started, with the options that both have. */
function commandsOf(name, protocol) {
  const stale = protocol === 'lockfile' ? { stale: STALE } : {}
  const own = JSON.stringify({ protocol, ...stale })
  const ours = (file) => [process.execPath, AGENT, file, own]
  return { ours, theirs: name === OURS ? ours : (file) => commandOf(name, file, stale) }
}

/** A file to lock, in a new folder below `parent`. */
function newFile(parent, name, protocol) {
  const file = path.join(parent, name, 'test')
  fs.mkdirSync(path.dirname(file))
  if (protocol === 'proper-lockfile') fs.writeFileSync(file, '')
  return file
}

/** Files to lock, each in a folder of its own. */
function makeFiles(t, protocol) {
  const parent = temporaryFolder(t)
  return Array.from({ length: MOST_CALLS }, (_, i) => newFile(parent, String(i), protocol))
}

/**
 * So often a lock is acquired and released in a row here: then its entry is not removed any more, but set aside, and gets its
 * name back. So many of the last calls are those of one time.
 */
const WARM_CYCLES = 40
const LAST_CALLS = 12

/** How many calls it takes `it` to acquire and release the lock of `file` so often. */
async function warmCalls(it, file) {
  it.follow({ call: 'any', folder: path.dirname(file) })
  assert.equal(await it.ask(`cycle ${JSON.stringify({ file, times: WARM_CYCLES })}`), 'done')
  return it.met
}

/** Commands that are about one file of many. */
const say = (talker, word, file, options) => talker.say(`${word} ${JSON.stringify({ file, ...options })}`)
function ask(talker, word, file) {
  say(talker, word, file)
  return talker.line()
}

function start(t, command) {
  const [program, ...args] = command
  return new Talker(t, program, args)
}

/** All these files are locked by a process that is dead, and the locks are stale if they ever become so. */
async function leaveLocks(t, command, files, protocol) {
  const dying = start(t, command)
  for (const file of files) {
    assert.equal(await ask(dying, 'acquire', file), 'waiting')
    assert.equal(await dying.line(), 'acquired')
  }
  await dying.kill()
  if (protocol === 'proper-lockfile') for (const file of files) fs.utimesSync(entryOf(protocol, file), 1, 1)
  if (protocol === 'lockfile') await new Promise((resolve) => setTimeout(resolve, STALE + 100))
}

/**
 * What `actor` answers to a try while `stopped` stands before its call number `i` of what `command` tells it, and what comes of
 * that then. `meanwhile` comes before that try.
 */
async function interleave(stopped, actor, file, i, [word, options] = ['try'], meanwhile = () => {}) {
  stopped.follow({ call: 'any', folder: path.dirname(file), skip: i, times: 1, delay: 'for now' })
  say(stopped, word, file, options)
  let answered = false
  const answer = stopped.line().finally(() => {
    answered = true
  })
  answer.catch(() => {})
  await until(() => answered || stopped.met > 0, 'the stop')
  const [call] = stopped.calls
  meanwhile()
  const actors = await ask(actor, 'try', file)
  stopped.follow()
  return { call, actors, stoppeds: await answer }
}

/** What ours says of a try that it gives up, since the disk does not answer: on a busy machine it may just be slow. */
const GIVEN_UP = 'ERR_LOCK_TIMEOUT'

/** A process of ours tries, and it comes of it what is `expected`. `isLate`: a try before was given up, and may hold it yet. */
async function tries(it, file, expected, where, isLate = false) {
  let said
  await until(async () => {
    said = await ask(it, 'try', file)
    return said !== GIVEN_UP && !(isLate && said === 'false' && expected === 'true')
  }, where)
  assert.equal(said, expected, where)
}

/** Exactly one of them has the lock, or nobody has, and all goes on from there. `where` says of what race. */
async function judge({ protocol, ours, theirs, third, file, oursSaid, theirsSaid, defect, where }) {
  const entry = entryOf(protocol, file)
  const oursHold = (await ask(ours, 'held', file)) === 'true'
  const theirsHold = theirsSaid === 'true'
  if (oursSaid === 'true' && theirsHold) {
    assert.ok(defect, `two holders: ${where}`)
    await until(async () => (await ask(ours, 'lost', file)) === 'true', `the loss: ${where}`)
  } else {
    assert.equal(oursHold, oursSaid === 'true', where)
  }
  const isLate = [oursSaid, theirsSaid].includes(GIVEN_UP)
  await tries(third, file, String(!oursHold && !theirsHold), `a third one: ${where}`, isLate)
  if (oursSaid === 'true') {
    const before = lstat(entry)
    const alone = !theirsHold
    assert.equal(await ask(ours, 'release', file), alone ? 'released' : 'ERR_LOCK_LOST', where)
    if (!alone) assert.deepEqual(lstat(entry)?.ino, before.ino, `the lock of another was removed: ${where}`)
  }
  if (theirsHold) {
    await tries(ours, file, 'false', `while theirs is held: ${where}`)
    assert.equal(await ask(theirs, 'release', file), 'released', where)
  }
  if (!oursHold && !theirsHold) assert.equal(await ask(third, 'release', file), 'released', where)
  assert.equal(lstat(entry), undefined, `what is left: ${where}`)
  await tries(ours, file, 'true', `in the end: ${where}`)
  assert.equal(await ask(ours, 'release', file), 'released', where)
}

/** What npm's lockfile leaves if it finds, with the right to break a lock, that this is not stale any more. */
const STALE_MARK = 'test.STALE'

/** What lies in the folder of `file` after all have released. */
const litterBeside = (file) =>
  fs.readdirSync(path.dirname(file)).filter((name) => name !== path.basename(file) && name !== STALE_MARK)

/** Who has left the lock that the race is about. */
const STATES = {
  'a free lock': undefined,
  'the lock of a dead process of ours': 'ours',
  'the lock of a dead process of theirs': 'theirs',
}

// Most of it is waiting for processes.
describe('races', { concurrency: 2 }, () => {
  for (const [name, { protocol, dead, options }] of RIVALS) {
    const commands = commandsOf(name, protocol)
    const settings = { ...options, skip: options.skip || obstacle }

    describe(`${name} and '${protocol}'`, { concurrency: 2 }, () => {
      for (const [state, dyingOne] of Object.entries(STATES)) {
        if (dyingOne === 'theirs' && dead === 'never') continue

        // Two of ours are the same, whichever is stopped.
        for (const who of name === OURS ? ['ours'] : ['theirs', 'ours']) {
          test(`${state}: ${who} is stopped at each call while the other takes it`, settings, async (t) => {
            const files = makeFiles(t, protocol)
            if (dyingOne) await leaveLocks(t, commands[dyingOne](files[0]), files, protocol)
            const stopped = new Subject(t, files[0], commands[who](files[0]))
            const actor = start(t, commands[who === 'ours' ? 'theirs' : 'ours'](files[0]))
            const third = start(t, commands.ours(files[0]))
            const [ours, theirs] = who === 'ours' ? [stopped, actor] : [actor, stopped]
            const removes = who === 'theirs' && dyingOne && REMOVES_BY_PATH.includes(name)
            let calls = 0
            for (; calls < MOST_CALLS; calls++) {
              const file = files[calls]
              const { call, actors, stoppeds } = await interleave(stopped, actor, file, calls)
              const [oursSaid, theirsSaid] = who === 'ours' ? [stoppeds, actors] : [actors, stoppeds]
              const where = `stopped before ${calls + 1}. ${call}: ours ${oursSaid}, theirs ${theirsSaid}`
              await judge({ protocol, ours, theirs, third, file, oursSaid, theirsSaid, defect: removes, where })
              assert.deepEqual(litterBeside(file), [], where)
              if (call === undefined) break
            }
            assert.ok(calls > 0 && calls < MOST_CALLS, `it was stopped ${calls} times`)
          })
        }
      }

      test(
        'a lock that is broken and taken by theirs, at each call of its release, stays theirs',
        settings,
        async (t) => {
          const files = makeFiles(t, protocol)
          const ours = new Subject(t, files[0], commands.ours(files[0]))
          const theirs = start(t, commands.theirs(files[0]))
          const third = start(t, commands.ours(files[0]))
          let calls = 0
          for (; calls < MOST_CALLS; calls++) {
            const file = files[calls]
            const entry = entryOf(protocol, file)
            await tries(ours, file, 'true', 'at first')
            const breakIt = () => fs.rmSync(entry, { recursive: true, force: true })
            const { call, actors, stoppeds } = await interleave(ours, theirs, file, calls, ['release'], breakIt)
            const where = `stopped before ${calls + 1}. ${call}: ours ${stoppeds}, theirs ${actors}`
            assert.equal(actors, 'true', where)
            // ENOTEMPTY: theirs is a folder with something in it.
            assert.match(stoppeds, /^(released|ERR_LOCK_LOST|ENOTEMPTY)$/, where)
            assert.equal(await ask(ours, 'held', file), 'false', where)
            // No call removes an entry only if it is the one that was looked at: what comes between these two is removed.
            if (lstat(entry)) await tries(third, file, 'false', where)
            else assert.ok(['unlink', 'rmdir'].includes(call), `theirs was removed: ${where}`)
            await ask(theirs, 'release', file)
            await tries(ours, file, 'true', where)
            assert.equal(await ask(ours, 'release', file), 'released', where)
            if (call === undefined) break
          }
          assert.ok(calls > 0 && calls < MOST_CALLS, `it was stopped ${calls} times`)
        },
      )

      test(
        'a lock that ours acquires again and again, stopped at each call of that, while others take it',
        settings,
        async (t) => {
          const ours = new Subject(t, 'none', commands.ours('none'))
          const others = [commands.theirs('none'), commands.ours('none')].map((command) => start(t, command))
          const parent = temporaryFolder(t)
          const usual = await warmCalls(ours, newFile(parent, 'usual', protocol))
          for (const other of others) {
            for (let i = 0, n = 0; i < LAST_CALLS; n++) {
              const file = newFile(parent, `${others.indexOf(other)}-${n}`, protocol)
              const entry = entryOf(protocol, file)
              const cycles = ['cycle', { times: WARM_CYCLES }]
              const { call, actors, stoppeds } = await interleave(ours, other, file, usual - i, cycles)
              if ([actors, stoppeds].includes(GIVEN_UP)) continue
              i++
              const where = `stopped before a ${call}: ours ${stoppeds}, the other ${actors}`
              if (actors === 'true') {
                // It had been released when it was stopped, and was not acquired any more.
                assert.match(stoppeds, /^(false|done)$/, where)
                assert.equal(await ask(ours, 'held', file), 'false', where)
                assert.ok(lstat(entry), `the lock of the other was removed: ${where}`)
                await tries(ours, file, 'false', where)
                assert.equal(await ask(other, 'release', file), 'released', where)
              } else {
                assert.equal(actors, 'false', where)
                assert.equal(stoppeds, 'done', where)
              }
              await until(() => !lstat(entry) && litterBeside(file).length === 0, `the end of all entries: ${where}`)
              assert.equal(await ask(other, 'try', file), 'true', where)
              await tries(ours, file, 'false', where)
              assert.equal(await ask(other, 'release', file), 'released', where)
            }
          }
        },
      )
    })
  }
})
