'use strict'

// System calls that fail, are slow, or never return: each ends in the documented error, the state stays right, and the
// next acquire works. The kernel hands the calls of a process to another one, which answers them as the test wants.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const { test } = require('node:test')

const { temporaryPath } = require('../support/folders.js')
const { isWaitedFor } = require('../support/kernel.js')
const { isFree } = require('../support/locks.js')
const { AGENT, agent, holderOf, Talker } = require('../support/processes.js')
const { UNLOCK } = require('../support/system-calls/steps.js')
const { subject } = require('../support/system-calls/subject.js')
const { needs, onLinux } = require('../support/systems.js')
const { PATIENCE, staysPending, until } = require('../support/waiting.js')

const { errno } = os.constants
/** Of flock(2): the calls that do not wait. */
const NONBLOCK = 4
/** A bit of the numbers of real-time signals, which the others do not have. */
const REAL_TIME = 32
/** What statfs(2) says of a file of an SMB server. */
const SMB = [0x517b, 0xff534d42, 0xfe534d42]
/** More than any loop that tries again a few times would stand. */
const MANY = 200

/** The commands of an agent that take the lock. */
const COMMANDS = ['acquire', 'sync', 'try']

/** A test with a process whose calls follow rules. */
const onSubject = (name, body, script) =>
  test(name, onLinux, async (t) => {
    const it = await subject(t, script)
    if (it) await body(it, t)
  })

/** The agent waits, gets the lock when the holder has released it, and holds it alone. */
/** `meanwhile`: what has to happen before the holder releases the lock. */
async function waitsForHolder(it, holder, meanwhile = async () => {}) {
  assert.equal(await it.ask('acquire'), 'waiting')
  const acquired = it.line()
  assert.ok(await staysPending(acquired))
  await meanwhile()
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await acquired, 'acquired')
  assert.equal(await isFree(it.file), false)
  assert.equal(await it.ask('release'), 'released')
}

const FAILURES = {
  open: ['EMFILE', 'ENFILE', 'EIO', 'ENOMEM', 'ESTALE', 'EACCES', 'EPERM', 'ETXTBSY'],
  fstat: ['EIO', 'ESTALE', 'ENOMEM'],
  flock: ['EIO', 'ESTALE', 'ENOMEM', 'EBADF', 'EACCES'],
  // The look at the path once it is locked.
  stat: ['EACCES', 'EIO', 'ESTALE', 'ENOMEM'],
}

for (const [call, codes] of Object.entries(FAILURES)) {
  onSubject(`${call} fails: the error has its code, nothing is held, and the next acquire works`, async (it) => {
    for (const code of codes) {
      it.follow({ call, errno: errno[code] })
      for (const command of COMMANDS) assert.equal(await it.take(command), code, command)
      assert.equal(await it.ask('held'), 'false')
      assert.equal(await isFree(it.file), true, code)
      await it.worksAgain()
    }
  })
}

/** Failures after which it is tried again: by name, the calls, the error, and how often it comes. */
const PASSING = {
  [`is interrupted ${MANY} times: it is done in the end`]: { calls: ['open', 'flock'], code: 'EINTR', times: MANY },
  'says that the file is stale: it is looked for again': {
    calls: ['open', 'fstat', 'flock', 'stat'],
    code: 'ESTALE',
    times: 3,
  },
}

for (const [what, { calls, code, times }] of Object.entries(PASSING)) {
  for (const call of calls) {
    onSubject(`${call} ${what}`, async (it) => {
      for (const command of COMMANDS) {
        it.follow({ call, errno: errno[code], times })
        await it.takesAndReleases(command)
        assert.equal(it.met, times)
        // A request that comes while the file is still open does not open it.
        assert.equal(await it.ask('closed'), 'closed')
      }
      await it.worksAgain()
    })
  }
}

onSubject('a file is opened for writing where the system locks nothing else', async (it, t) => {
  // As NFS has it, for exclusive locks.
  it.follow({ call: 'flock', readonly: true, errno: errno.EBADF })
  for (const command of COMMANDS) await it.takesAndReleases(command)
  await waitsForHolder(it, await holderOf(t, it.file))
  await it.worksAgain()
})

for (const magic of SMB) {
  onSubject(`on SMB (0x${magic.toString(16)}) a lock that is refused with EACCES is held by somebody`, async (it) => {
    it.follow({ call: 'fstatfs', magic }, { call: 'flock', flags: NONBLOCK, errno: errno.EACCES })
    assert.equal(await it.ask('try'), 'false')
    assert.equal(await it.take('acquire', '{"timeout":0}'), 'ERR_LOCK_TIMEOUT')
    // The call that waits is not refused.
    assert.equal(await it.take('acquire'), 'acquired')
    assert.equal(await isFree(it.file), false)
    assert.equal(await it.ask('release'), 'released')
    // A file on a server is unlocked as soon as the server has heard of it.
    await until(() => isFree(it.file), 'the end of the lock')
  })
}

onSubject('a wait in the kernel that is interrupted again and again goes on', async (it, t) => {
  const holder = await holderOf(t, it.file)
  it.follow({ call: 'flock', errno: errno.EINTR, skip: 1, times: MANY })
  await waitsForHolder(it, holder, () => until(() => it.met === MANY, 'the interruptions'))
  await it.worksAgain()
})

onSubject('a wait in the kernel that fails ends in the error, and nobody is in the queue any more', async (it, t) => {
  const holder = await holderOf(t, it.file)
  it.follow({ call: 'flock', errno: errno.EIO, skip: 1 })
  assert.equal(await it.take('acquire'), 'EIO')
  assert.equal(await holder.ask('release'), 'released')
  await it.worksAgain()
})

onSubject('unlocking fails: closing the file unlocks it', async (it) => {
  it.follow({ call: 'flock', flags: UNLOCK, errno: errno.EIO })
  for (const command of ['acquire', 'sync']) await it.takesAndReleases(command)
  assert.ok(it.met > 0)
  await it.worksAgain()
})

onSubject('closing fails: the lock is free all the same', async (it) => {
  it.follow({ call: 'close', errno: errno.EIO })
  await it.takesAndReleases('acquire')
  assert.equal(it.met, 1)
  await it.takesAndReleases('acquire')
})

onSubject('no thread can be made: a request that has to wait is refused, and a free lock is taken', async (it, t) => {
  const holder = await holderOf(t, it.file)
  it.follow({ call: 'clone', path: undefined, errno: errno.EAGAIN })
  for (const command of ['acquire', 'sync']) assert.equal(await it.take(command), 'EAGAIN')
  assert.ok(it.met > 0)
  assert.equal(await holder.ask('release'), 'released')
  await it.takesAndReleases('sync')
  await it.worksAgain()
})

/** An agent waits in the kernel for the lock of `file`, and gives up. */
async function stops(waiter, file) {
  assert.equal(await waiter.ask('wait'), 'waiting')
  await until(() => isWaitedFor(file), 'a wait in the kernel')
  assert.equal(await waiter.ask('stop'), 'stopped')
  assert.equal(await waiter.line(), 'ABORT_ERR')
}

const isOut = (file) => until(() => !isWaitedFor(file), 'the end of the wait in the kernel')

onSubject('no signal calls a waiting thread back: the rejection comes, and the lock is not kept', async (it, t) => {
  const holder = await holderOf(t, it.file)
  it.follow({ call: 'tgkill', path: undefined, errno: errno.EAGAIN })
  await stops(it, it.file)
  assert.ok(it.met > 0)
  assert.ok(isWaitedFor(it.file))
  assert.equal(await holder.ask('release'), 'released')
  // The thread is still in the kernel, and gets the lock now: it gives it up at once.
  await isOut(it.file)
  await until(() => isFree(it.file), 'the end of the lock')
  await it.worksAgain()
})

onSubject('a signal that cannot be sent is replaced by another: the thread leaves the kernel', async (it, t) => {
  const holder = await holderOf(t, it.file)
  it.follow({ call: 'tgkill', path: undefined, flags: REAL_TIME, errno: errno.EAGAIN })
  await stops(it, it.file)
  await isOut(it.file)
  assert.ok(it.met > 0)
  assert.equal(await holder.ask('release'), 'released')
  await it.worksAgain()
})

test('a wait ends in the kernel too where no real-time signal can be queued', onLinux, async (t) => {
  if (!needs(t, 'prlimit')) return
  const file = temporaryPath(t)
  await holderOf(t, file)
  await stops(new Talker(t, 'prlimit', ['--sigpending=0', process.execPath, AGENT, file]), file)
  await isOut(file)
})

for (const call of ['open', 'flock', 'stat']) {
  onSubject(`${call} never returns: a timeout ends the wait, a try ends, too, and the process can end`, async (it) => {
    it.follow({ call, delay: 'for ever' })
    // A try as well as a wait, and both behind others that are stuck.
    for (let i = 0; i < 2; i++) {
      assert.equal(await it.ask('try'), 'ERR_LOCK_TIMEOUT')
      assert.equal(await it.take('acquire', '{"timeout":20}'), 'ERR_LOCK_TIMEOUT')
    }
    assert.equal(await it.ask('held'), 'false')
    it.say('exit')
    assert.equal((await it.ended()).code, 0)
    assert.equal(await isFree(it.file), true)
  })
}

for (const call of ['open', 'fstat', 'flock', 'stat', 'close']) {
  onSubject(`${call} is slow: each wait ends in one way, and the state stays right`, async (it, t) => {
    it.follow({ call, delay: 60 })
    for (const timeout of [0, 20, PATIENCE]) {
      const outcome = await it.take('acquire', `{"timeout":${timeout}}`)
      const held = outcome === 'acquired'
      if (timeout === PATIENCE) assert.ok(held, outcome)
      else if (!held) assert.equal(outcome, 'ERR_LOCK_TIMEOUT')
      assert.equal(await it.ask('held'), String(held))
      if (held) assert.equal(await it.ask('release'), 'released')
    }
    assert.ok(it.met > 0)
    it.follow()
    const next = agent(t, it.file)
    assert.equal(await next.ask('sync'), 'acquired')
    assert.equal(await next.ask('release'), 'released')
    await it.worksAgain()
  })
}

/** By the command of slow-look.js, what it says while the path does not answer. */
const SAID_MEANWHILE = {
  timeout: ['first ERR_LOCK_TIMEOUT', 'other ERR_LOCK_TIMEOUT'],
  abort: ['abort() has returned', 'first ABORT_ERR'],
}

for (const [how, expected] of Object.entries(SAID_MEANWHILE)) {
  onSubject(
    `a path that does not answer holds up no other deadline, and no event loop, after an end by ${how}`,
    async (it) => {
      const link = `${it.file}.link`
      fs.symlinkSync(it.file, link)
      assert.equal(await it.ask('start'), 'started')
      it.follow({ call: 'stat', path: link, delay: 'for now' })
      it.say(how)
      await it.stopped()
      // It answers only when all this has been said.
      assert.deepEqual([await it.line(), await it.line()].sort(), expected)
      it.follow()
      assert.equal(await it.line(), 'behind acquired')
    },
    require.resolve('./slow-look.js'),
  )
}
