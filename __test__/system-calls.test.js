'use strict'

// System calls that fail, are slow, or never return: each ends in the documented error, the state stays right, and the
// next acquire works. The kernel hands the calls of a process to another one, which answers them as the test wants.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { subject } = require('./fixtures/system-calls/subject.js')
const {
  agent,
  eventually,
  isFree,
  needs,
  PATIENCE,
  staysPending,
  Talker,
  temporaryPath,
  until,
} = require('./support.js')

const { errno } = os.constants
/** Of flock(2): the calls that unlock, and those that do not wait. */
const UNLOCK = 8
const NONBLOCK = 4
/** A bit of the numbers of real-time signals, which the others do not have. */
const REAL_TIME = 32
/** What statfs(2) says of a file of an SMB server. */
const SMB = [0x517b, 0xff534d42, 0xfe534d42]
/** More than any loop that tries again a few times would stand. */
const MANY = 200

const only = { skip: process.platform !== 'linux' && 'seccomp is Linux’s' }

const FAILURES = {
  open: ['EMFILE', 'ENFILE', 'EIO', 'ENOMEM', 'ESTALE', 'EACCES', 'EPERM', 'ETXTBSY'],
  fstat: ['EIO', 'ESTALE', 'ENOMEM'],
  flock: ['EIO', 'ESTALE', 'ENOMEM', 'EBADF', 'EACCES'],
  // The look at the path once it is locked.
  stat: ['EACCES', 'EIO', 'ESTALE', 'ENOMEM'],
}

for (const [call, codes] of Object.entries(FAILURES)) {
  test(`${call} fails: the error has its code, nothing is held, and the next acquire works`, only, async (t) => {
    const it = await subject(t)
    if (!it) return
    for (const code of codes) {
      it.follow({ call, errno: errno[code] })
      assert.equal(await it.acquire(), code, 'acquire()')
      assert.equal(await it.ask('sync'), code, 'acquireSync()')
      assert.equal(await it.ask('try'), code, 'tryAcquire()')
      assert.equal(await it.ask('held'), 'false')
      assert.equal(await isFree(it.file), true, code)
      await it.worksAgain()
    }
  })
}

for (const call of ['open', 'flock']) {
  test(`${call} is interrupted ${MANY} times: it is done in the end`, only, async (t) => {
    const it = await subject(t)
    if (!it) return
    for (const command of ['acquire', 'sync', 'try']) {
      it.follow({ call, errno: errno.EINTR, times: MANY })
      const expected = command === 'try' ? 'true' : 'acquired'
      assert.equal(command === 'acquire' ? await it.acquire() : await it.ask(command), expected)
      assert.equal(it.met, MANY)
      assert.equal(await it.ask('release'), 'released')
      // Who comes while the file is still open does not open it.
      assert.equal(await it.ask('descriptors'), '0')
    }
    await it.worksAgain()
  })
}

for (const call of ['open', 'fstat', 'flock', 'stat']) {
  test(`${call} says that the file is stale: it is looked for again`, only, async (t) => {
    const it = await subject(t)
    if (!it) return
    for (const command of ['acquire', 'sync', 'try']) {
      it.follow({ call, errno: errno.ESTALE, times: 3 })
      const expected = command === 'try' ? 'true' : 'acquired'
      assert.equal(command === 'acquire' ? await it.acquire() : await it.ask(command), expected)
      assert.equal(it.met, 3)
      assert.equal(await isFree(it.file), false)
      assert.equal(await it.ask('release'), 'released')
      // Who comes while the file is still open does not open it.
      assert.equal(await it.ask('descriptors'), '0')
    }
    await it.worksAgain()
  })
}

test('a file is opened for writing where the system locks nothing else', only, async (t) => {
  const it = await subject(t)
  if (!it) return
  // As NFS has it, for exclusive locks.
  it.follow({ call: 'flock', readonly: true, errno: errno.EBADF })
  for (const command of ['acquire', 'sync', 'try']) {
    const expected = command === 'try' ? 'true' : 'acquired'
    assert.equal(command === 'acquire' ? await it.acquire() : await it.ask(command), expected)
    assert.equal(await isFree(it.file), false)
    assert.equal(await it.ask('release'), 'released')
    assert.equal(await isFree(it.file), true)
  }
  const holder = agent(t, it.file)
  assert.equal(await holder.ask('try'), 'true')
  assert.equal(await it.ask('acquire'), 'waiting')
  const acquired = it.line()
  assert.ok(await staysPending(acquired))
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await acquired, 'acquired')
  assert.equal(await isFree(it.file), false)
  assert.equal(await it.ask('release'), 'released')
  await it.worksAgain()
})

for (const magic of SMB) {
  test(`on SMB (0x${magic.toString(16)}) a lock that is refused with EACCES is held by somebody`, only, async (t) => {
    const it = await subject(t)
    if (!it) return
    it.follow({ call: 'fstatfs', magic }, { call: 'flock', flags: NONBLOCK, errno: errno.EACCES })
    assert.equal(await it.ask('try'), 'false')
    assert.equal(await it.acquire('{"timeout":0}'), 'ERR_LOCK_TIMEOUT')
    // The call that waits is not refused.
    assert.equal(await it.acquire(), 'acquired')
    assert.equal(await isFree(it.file), false)
    assert.equal(await it.ask('release'), 'released')
    // A file on a server is unlocked as soon as the server has heard of it.
    await until(() => isFree(it.file), 'the end of the lock')
  })
}

test('a wait in the kernel that is interrupted again and again goes on', only, async (t) => {
  const it = await subject(t)
  if (!it) return
  const holder = agent(t, it.file)
  assert.equal(await holder.ask('try'), 'true')
  it.follow({ call: 'flock', errno: errno.EINTR, skip: 1, times: MANY })
  assert.equal(await it.ask('acquire'), 'waiting')
  const acquired = it.line()
  assert.ok(await staysPending(acquired))
  assert.equal(await holder.ask('release'), 'released')
  assert.equal(await acquired, 'acquired')
  assert.equal(it.met, MANY)
  assert.equal(await it.ask('release'), 'released')
  await it.worksAgain()
})

test('a wait in the kernel that fails ends in the error, and nobody is in line any more', only, async (t) => {
  const it = await subject(t)
  if (!it) return
  const holder = agent(t, it.file)
  assert.equal(await holder.ask('try'), 'true')
  it.follow({ call: 'flock', errno: errno.EIO, skip: 1 })
  assert.equal(await it.acquire(), 'EIO')
  assert.equal(await holder.ask('release'), 'released')
  await it.worksAgain()
})

test('unlocking fails: closing the file unlocks it', only, async (t) => {
  const it = await subject(t)
  if (!it) return
  it.follow({ call: 'flock', flags: UNLOCK, errno: errno.EIO })
  for (const command of ['acquire', 'sync']) {
    assert.equal(command === 'acquire' ? await it.acquire() : await it.ask(command), 'acquired')
    assert.equal(await it.ask('release'), 'released')
    assert.equal(await isFree(it.file), true, command)
  }
  assert.ok(it.met > 0)
  await it.worksAgain()
})

test('closing fails: the lock is free all the same', only, async (t) => {
  const it = await subject(t)
  if (!it) return
  it.follow({ call: 'close', errno: errno.EIO })
  assert.equal(await it.acquire(), 'acquired')
  assert.equal(await it.ask('release'), 'released')
  assert.equal(await isFree(it.file), true)
  assert.equal(it.met, 1)
  assert.equal(await it.acquire(), 'acquired')
  assert.equal(await it.ask('release'), 'released')
})

test(
  'no thread can be made: a request that has to wait is refused, and a free lock is taken all the same',
  only,
  async (t) => {
    const it = await subject(t)
    if (!it) return
    const holder = agent(t, it.file)
    assert.equal(await holder.ask('try'), 'true')
    it.follow({ call: 'clone', path: undefined, errno: errno.EAGAIN })
    assert.equal(await it.acquire(), 'EAGAIN')
    assert.equal(await it.ask('sync'), 'EAGAIN')
    assert.ok(it.met > 0)
    assert.equal(await holder.ask('release'), 'released')
    assert.equal(await it.ask('sync'), 'acquired')
    assert.equal(await isFree(it.file), false)
    assert.equal(await it.ask('release'), 'released')
    await it.worksAgain()
  },
)

/** Does anybody wait in the kernel for the lock of `file`? Its table has a line with an arrow for each. */
function isWaitedFor(file) {
  const { ino } = fs.statSync(file)
  const lines = fs.readFileSync('/proc/locks', 'utf8').split('\n')
  return lines.some((line) => line.includes('->') && line.includes(`:${ino} `))
}

/** An agent waits in the kernel for the lock of `file`, and gives up. */
async function stops(waiter, file) {
  assert.equal(await waiter.ask('wait'), 'waiting')
  await until(() => isWaitedFor(file), 'a wait in the kernel')
  assert.equal(await waiter.ask('stop'), 'stopped')
  assert.equal(await waiter.line(), 'ABORT_ERR')
}

/** The same, and is not in the kernel any more. */
async function leavesKernel(waiter, file) {
  await stops(waiter, file)
  await until(() => !isWaitedFor(file), 'the end of the wait in the kernel')
}

test('no signal calls a waiting thread back: the rejection comes, and the lock is not kept', only, async (t) => {
  const it = await subject(t)
  if (!it) return
  const holder = agent(t, it.file)
  assert.equal(await holder.ask('try'), 'true')
  it.follow({ call: 'tgkill', path: undefined, errno: errno.EAGAIN })
  await stops(it, it.file)
  assert.ok(it.met > 0)
  assert.ok(isWaitedFor(it.file))
  assert.equal(await holder.ask('release'), 'released')
  // The thread is still in the kernel, and gets the lock now: it gives it up at once.
  await until(() => !isWaitedFor(it.file), 'the end of the wait in the kernel')
  await until(() => isFree(it.file), 'the end of the lock')
  await it.worksAgain()
})

test('a signal that cannot be sent is replaced by another: the thread leaves the kernel', only, async (t) => {
  const it = await subject(t)
  if (!it) return
  const holder = agent(t, it.file)
  assert.equal(await holder.ask('try'), 'true')
  it.follow({ call: 'tgkill', path: undefined, flags: REAL_TIME, errno: errno.EAGAIN })
  await leavesKernel(it, it.file)
  assert.ok(it.met > 0)
  assert.equal(await holder.ask('release'), 'released')
  await it.worksAgain()
})

test('a wait ends in the kernel too where no real-time signal can be queued', only, async (t) => {
  if (!needs(t, 'prlimit')) return
  const file = temporaryPath(t)
  const holder = agent(t, file)
  assert.equal(await holder.ask('try'), 'true')
  const limited = [process.execPath, path.join(__dirname, 'fixtures/agent.js'), file]
  const waiter = new Talker(t, 'prlimit', ['--sigpending=0', ...limited])
  await leavesKernel(waiter, file)
})

for (const call of ['open', 'flock', 'stat']) {
  test(`${call} never returns: a timeout ends the wait, a try ends, too, and the process can end`, only, async (t) => {
    const it = await subject(t)
    if (!it) return
    it.follow({ call, delay: 'for ever' })
    // A try as well as a wait, and both behind others that are stuck.
    for (let i = 0; i < 2; i++) {
      assert.equal(await it.ask('try'), 'ERR_LOCK_TIMEOUT')
      assert.equal(await it.acquire('{"timeout":20}'), 'ERR_LOCK_TIMEOUT')
    }
    assert.equal(await it.ask('held'), 'false')
    it.say('exit')
    assert.equal((await eventually(it.exited, 'the end of the process')).code, 0)
    assert.equal(await isFree(it.file), true)
  })
}

for (const call of ['open', 'fstat', 'flock', 'stat', 'close']) {
  test(`${call} is slow: each wait ends in one way, and the state stays right`, only, async (t) => {
    const it = await subject(t)
    if (!it) return
    it.follow({ call, delay: 60 })
    for (const timeout of [0, 20, PATIENCE]) {
      const outcome = await it.acquire(`{"timeout":${timeout}}`)
      const held = outcome === 'acquired'
      if (timeout === PATIENCE) assert.ok(held, outcome)
      else if (!held) assert.equal(outcome, 'ERR_LOCK_TIMEOUT')
      assert.equal(await it.ask('held'), String(held))
      if (held) assert.equal(await it.ask('release'), 'released')
    }
    assert.ok(it.met > 0)
    it.follow()
    const next = agent(t, it.file)
    assert.equal(await next.ask('acquire'), 'waiting')
    assert.equal(await next.line(), 'acquired')
    assert.equal(await next.ask('release'), 'released')
    await it.worksAgain()
  })
}

for (const how of ['timeout', 'abort']) {
  test(
    `a path that does not answer holds up no other deadline, and no event loop, after an end by ${how}`,
    only,
    async (t) => {
      const it = await subject(t, 'slow-look.js')
      if (!it) return
      const link = `${it.file}.link`
      fs.symlinkSync(it.file, link)
      assert.equal(await it.ask('start'), 'started')
      it.follow({ call: 'stat', path: link, delay: 'for now' })
      it.say(how)
      await it.stopped()
      // It answers only when all this has been said.
      const lines = [await it.line(), await it.line()].sort()
      const expected =
        how === 'timeout'
          ? ['first ERR_LOCK_TIMEOUT', 'other ERR_LOCK_TIMEOUT']
          : ['abort() has returned', 'first ABORT_ERR']
      assert.deepEqual(lines, expected)
      it.follow()
      assert.equal(await it.line(), 'behind acquired')
    },
  )
}
