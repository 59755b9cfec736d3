'use strict'

// A process of ours that is killed, or whose system call fails, at each of its calls in turn while it takes a lock or
// releases it. The next one gets in, an error has the code of the system, and nothing is held that is not told.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')

const { AGENT, agent } = require('../../support/processes.js')
const { temporaryFolder } = require('../../support/folders.js')
const { isUnavailable, Subject } = require('../../support/system-calls/subject.js')
const { until } = require('../../support/waiting.js')
const { entryOf, PROTOCOLS } = require('./peers.js')

/** More system calls than any of them makes for a lock. */
const MOST_CALLS = 60

const ERRORS = ['EIO', 'EPERM', 'ENOSPC']

/**
 * So often a lock is acquired and released in a row here: then its entry is not removed any more, but set aside, and gets its
 * name back. So many of the last calls are those of one time.
 */
const WARM = { times: 40 }
const LAST_CALLS = 10

const settings = { skip: isUnavailable() }

const lstat = (entry) => fs.lstatSync(entry, { throwIfNoEntry: false })

/** A file to lock in a new folder below `parent`. */
function fileIn(parent, name) {
  const file = path.join(parent, name, 'test')
  fs.mkdirSync(path.dirname(file))
  return file
}

const litterBeside = (file) => fs.readdirSync(path.dirname(file)).filter((name) => name !== path.basename(file))

/** Has `it` begin with `word` and stand before its call number `i`. Resolves to that call, or to nothing if it has ended. */
async function stopAt(it, file, word, i, fault, options) {
  it.follow({ call: 'any', folder: path.dirname(file), skip: i, times: 1, ...fault })
  it.say(`${word} ${JSON.stringify({ file, ...options })}`)
  let answer
  it.line().then(
    (line) => {
      answer = line
    },
    () => {},
  )
  await until(() => answer !== undefined || (fault.delay && it.met > 0), 'the call')
  return { call: it.calls[0], answer }
}

for (const protocol of PROTOCOLS) {
  const options = JSON.stringify({ protocol, ...(protocol === 'lockfile' ? { stale: 60_000 } : {}) })
  const command = (file) => [process.execPath, AGENT, file, options]

  const scene = (t) => {
    const parent = temporaryFolder(t)
    const next = agent(t, path.join(parent, 'none'), JSON.parse(options))
    const ask = (talker, word, file, more) => talker.ask(`${word} ${JSON.stringify({ file, ...more })}`)
    const makeFile = (name) => {
      const file = fileIn(parent, name)
      if (protocol === 'proper-lockfile') fs.writeFileSync(file, '')
      return file
    }
    return { next, ask, makeFile, entry: (file) => entryOf(protocol, file) }
  }

  describe(`'${protocol}'`, { concurrency: 2 }, () => {
    for (const word of ['try', 'release']) {
      test(`killed before each call of its ${word}: the next one of ours gets in`, settings, async (t) => {
        const { next, ask, makeFile, entry } = scene(t)
        let calls = 0
        for (; calls < MOST_CALLS; calls++) {
          const file = makeFile(`${word}-${calls}`)
          const it = new Subject(t, file, command(file))
          if (word === 'release') assert.equal(await ask(it, 'try', file), 'true')
          const { call } = await stopAt(it, file, word, calls, { delay: 'for ever' })
          await it.kill()
          const where = `killed before ${calls + 1}. ${call}`
          assert.equal(await ask(next, 'acquire', file, { timeout: 15_000 }), 'waiting')
          assert.equal(await next.line(), 'acquired', where)
          assert.equal(await ask(next, 'release', file), 'released', where)
          assert.equal(lstat(entry(file)), undefined, where)
          // An entry that had no name yet by which others know it.
          const litter = litterBeside(file)
          assert.ok(
            litter.length === 0 || (litter.length === 1 && litter[0].startsWith('.locket-')),
            `${where}: ${litter}`,
          )
          if (call === undefined) break
        }
        assert.ok(calls > 0 && calls < MOST_CALLS, `it was stopped ${calls} times`)
      })
    }

    /** How many calls it takes `it` to acquire and release the lock of `file` again and again. */
    async function warmCalls(it, file) {
      it.follow({ call: 'any', folder: path.dirname(file) })
      assert.equal(await it.ask(`cycle ${JSON.stringify({ file, ...WARM })}`), 'done')
      return it.met
    }

    test(
      'killed before each call of a lock that it acquires again and again: the next one gets in',
      settings,
      async (t) => {
        const { next, ask, makeFile, entry } = scene(t)
        const usual = makeFile('usual')
        const calls = await warmCalls(new Subject(t, usual, command(usual)), usual)
        for (let i = 0; i < LAST_CALLS; i++) {
          const file = makeFile(String(i))
          const it = new Subject(t, file, command(file))
          const { call } = await stopAt(it, file, 'cycle', calls - i, { delay: 'for ever' }, WARM)
          await it.kill()
          const where = `killed before a ${call}`
          assert.equal(await ask(next, 'acquire', file, { timeout: 15_000 }), 'waiting')
          assert.equal(await next.line(), 'acquired', where)
          assert.equal(await ask(next, 'release', file), 'released', where)
          // What the dead one had set aside is removed by the next one that sets something aside.
          assert.equal(await ask(next, 'cycle', file, WARM), 'done', where)
          await until(() => !lstat(entry(file)) && litterBeside(file).length === 0, `the end of all entries: ${where}`)
        }
      },
    )

    test('EIO of each call of a lock that it acquires again and again: it goes on, or says so', settings, async (t) => {
      const { next, ask, makeFile, entry } = scene(t)
      const first = makeFile('first')
      const it = new Subject(t, first, command(first))
      const calls = await warmCalls(it, first)
      for (let i = 0; i < LAST_CALLS; i++) {
        const file = makeFile(String(i))
        const { call, answer } = await stopAt(it, file, 'cycle', calls - i, { errno: os.constants.errno.EIO }, WARM)
        it.follow()
        const where = `${call}: ${answer}`
        assert.match(answer, /^(done|EIO)$/, where)
        assert.equal(await ask(it, 'held', file), 'false', where)
        // What is left of it has no kernel lock, by whose end others would see that nobody holds it.
        if (protocol === 'symlink' && answer === 'EIO') fs.rmSync(entry(file), { force: true })
        await until(() => !lstat(entry(file)), `the end of the entry: ${where}`)
        assert.equal(await ask(next, 'try', file), 'true', where)
        assert.equal(await ask(it, 'try', file), 'false', where)
        assert.equal(await ask(next, 'release', file), 'released', where)
        assert.equal(await ask(it, 'try', file), 'true', where)
        assert.equal(await ask(it, 'release', file), 'released', where)
      }
    })

    for (const error of ERRORS) {
      test(`${error} of each call: the answer is true, false or that error, and all goes on`, settings, async (t) => {
        const { next, ask, makeFile, entry } = scene(t)
        const first = makeFile('first')
        const it = new Subject(t, first, command(first))
        let calls = 0
        for (; calls < MOST_CALLS; calls++) {
          const file = makeFile(String(calls))
          const { call, answer } = await stopAt(it, file, 'try', calls, { errno: os.constants.errno[error] })
          it.follow()
          const where = `${calls + 1}. ${call}: ${answer}`
          assert.match(answer, new RegExp(`^(true|false|${error}|ERR_LOCK_UNSUPPORTED)$`), where)
          assert.equal(await ask(it, 'held', file), String(answer === 'true'), where)
          assert.equal(await ask(next, 'try', file), String(answer !== 'true'), where)
          const holder = answer === 'true' ? it : next
          assert.equal(await ask(holder, 'release', file), 'released', where)
          assert.equal(lstat(entry(file)), undefined, where)
          if (!['unlink', 'rmdir'].includes(call)) assert.deepEqual(litterBeside(file), [], where)
          assert.equal(await ask(it, 'try', file), 'true', where)
          assert.equal(await ask(it, 'release', file), 'released', where)
          if (call === undefined) break
        }
        assert.ok(calls > 0 && calls < MOST_CALLS, `${calls} calls failed`)
      })
    }
  })
}
