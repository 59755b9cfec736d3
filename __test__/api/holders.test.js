'use strict'

// holders() and waitersOf(): who holds a lock and who waits for it, where the system tells.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../..')
const { ROOT, temporaryFolder, temporaryPath } = require('../support/folders.js')
const { agent, holderOf, script, Talker } = require('../support/processes.js')
const { LINUX, needing, onLinux } = require('../support/systems.js')
const { errorOf, staysPending, until } = require('../support/waiting.js')

const flock1 = needing('flock')
const mountNamespace = { skip: onLinux.skip || needing('unshare', ['--mount', 'true']).skip }

/** What a process is called in the answers of holders(). */
const commandOf = (pid) => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0$/, '').replaceAll('\0', ' ')

const told = (pid, mode = 'exclusive') => ({ pid, mode, command: commandOf(pid) })

const byPid = (holders) => holders.toSorted((one, other) => one.pid - other.pid)

/** flock(1), which holds the lock of `file` until its input ends. */
async function flock(t, options, file, ...args) {
  const holder = new Talker(t, 'flock', [...options, file, 'sh', '-c', 'echo locked; read line', ...args])
  assert.equal(await holder.line(), 'locked')
  return holder
}

/** Python that locks `file` by `call`, and says so. */
async function python(t, call, file) {
  const source = `import fcntl, sys\nfile = open(sys.argv[1], 'r+')\n${call}\nprint('locked', flush=True)\nsys.stdin.read()`
  const process = new Talker(t, 'python3', ['-c', source, file])
  assert.equal(await process.line(), 'locked')
  return process
}

describe('holders()', onLinux, () => {
  test('names the process that holds the lock, by its number, mode and command line', async (t) => {
    const file = temporaryPath(t)
    const holder = await holderOf(t, file)
    assert.deepEqual(await lockFile(file).holders(), [told(holder.pid)])
    await holder.ask('release')
    assert.deepEqual(await lockFile(file).holders(), [])
  })

  test('names this process, also when another thread or handle asks', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire({ mode: 'shared' })
    assert.deepEqual(await lock.holders(), [told(process.pid, 'shared')])
    assert.deepEqual(await lockFile(file).holders(), [told(process.pid, 'shared')])
  })

  test('names all that share the lock, each process once', async (t) => {
    const file = temporaryPath(t)
    const holders = await Promise.all([1, 2, 3].map(() => holderOf(t, file, { mode: 'shared' })))
    await Promise.all([lockFile(file).acquire({ mode: 'shared' }), lockFile(file).acquire({ mode: 'shared' })])
    const expected = [...holders, process].map(({ pid }) => told(pid, 'shared'))
    assert.deepEqual(byPid(await lockFile(file).holders()), byPid(expected))
  })

  test('names no one who waits', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const waiter = agent(t, file)
    assert.equal(await waiter.ask('acquire'), 'waiting')
    const acquired = waiter.line()
    assert.ok(await staysPending(acquired, 50))
    assert.deepEqual(await lock.holders(), [told(process.pid)])
    lock.release()
    assert.equal(await acquired, 'acquired')
    assert.deepEqual(await lock.holders(), [told(waiter.pid)])
  })

  test('finds the file by any of its paths', async (t) => {
    const file = temporaryPath(t)
    const holder = await holderOf(t, file)
    fs.symlinkSync(file, `${file}.symlink`)
    fs.linkSync(file, `${file}.link`)
    for (const other of [`${file}.symlink`, `${file}.link`, Buffer.from(file)]) {
      assert.deepEqual(await lockFile(other).holders(), [told(holder.pid)])
    }
  })

  test('names flock(1)', flock1, async (t) => {
    const file = temporaryPath(t)
    const { pid } = await flock(t, ['--shared'], file)
    assert.deepEqual(await lockFile(file).holders(), [told(pid, 'shared')])
  })

  test('names a shell that has its lock from a flock(1) that has ended', flock1, async (t) => {
    const file = temporaryPath(t)
    const shell = new Talker(t, 'sh', ['-c', 'exec 9>"$0"; flock 9; echo locked; read line', file])
    assert.equal(await shell.line(), 'locked')
    assert.deepEqual(await lockFile(file).holders(), [told(shell.pid)])
  })

  test('names Python that locks by flock, but not by lockf', needing('python3'), async (t) => {
    const file = temporaryPath(t)
    fs.writeFileSync(file, '')
    await python(t, 'fcntl.lockf(file, fcntl.LOCK_EX)', file)
    assert.deepEqual(await lockFile(file).holders(), [])
    const holder = await python(t, 'fcntl.flock(file, fcntl.LOCK_EX)', file)
    const [{ pid, mode, command }] = await lockFile(file).holders()
    assert.deepEqual({ pid, mode }, { pid: holder.pid, mode: 'exclusive' })
    assert.match(command, /python3 -c import fcntl, sys file = open/)
  })

  test('shows of a command line only what can be printed', async (t) => {
    const file = temporaryPath(t)
    await flock(t, [], file, '\u001b[2J\u0007', 'é')
    const [{ command }] = await lockFile(file).holders()
    assert.match(command, /^flock .* echo locked; read line \ufffd\[2J\ufffd é$/)
  })

  test('does not touch the lock: a try at the same time is never refused for it', async (t) => {
    const file = temporaryPath(t)
    const lock = lockFile(file)
    await lock.run(() => {})
    let asking = true
    const asked = (async () => {
      while (asking) await lockFile(file).holders()
    })()
    for (let round = 0; round < 500; round++) {
      assert.equal(await lock.tryAcquire(), true)
      lock.release()
    }
    asking = false
    await asked
  })

  test('answers 1,000 that ask together', async (t) => {
    const file = temporaryPath(t)
    const holder = await holderOf(t, file)
    const answers = await Promise.all(Array.from({ length: 1000 }, () => lockFile(file).holders()))
    for (const answer of answers) assert.deepEqual(answer, [told(holder.pid)])
  })

  test('is undefined, and no error, without /proc, and a LockTimeoutError does not know of holders', async (t) => {
    const file = temporaryPath(t)
    const source = `
    const { lockFile, waitersOf } = require(${JSON.stringify(path.join(ROOT, 'lib/file-lock.js'))})
    const file = ${JSON.stringify(file)}
    const main = async () => {
      const lock = await lockFile(file).acquire()
      console.log(await lock.holders(), await waitersOf(lock))
      await lockFile(file).acquire({ timeout: 0 }).catch(({ message, holders }) => console.log(message, holders))
      try { lockFile(file).acquireSync({ timeout: 1 }) } catch ({ message, holders }) { console.log(message, holders) }
      console.log(await lockFile(file + '.missing').holders())
    }
    main()`
    const child = new Talker(t, 'unshare', [
      '--mount',
      'sh',
      '-c',
      'mount -t tmpfs none /proc && exec "$0" -e "$1"',
      process.execPath,
      source,
    ])
    assert.deepEqual(await child.rest(), [
      'undefined undefined',
      `Couldn't lock ${file}: it is locked undefined`,
      `Couldn't lock ${file} within 1 ms: it is locked undefined`,
      '[]',
    ])
  })
})

describe('where the system takes its time to tell', mountNamespace, () => {
  /** What came of it, in a process whose /proc is a folder of its own (see slow-proc.js). */
  async function slowProc(t, what) {
    const script = path.join(__dirname, 'slow-proc.js')
    const source = 'mount -t tmpfs none /proc && exec "$0" "$@"'
    const args = ['--mount', 'sh', '-c', source, process.execPath, script, what, temporaryFolder(t)]
    return JSON.parse(await new Talker(t, 'unshare', args).line())
  }

  test('questions during a reading of the table are answered by one more reading', async (t) => {
    const { readings, pids } = await slowProc(t, 'together')
    assert.deepEqual(pids, Array(11).fill([true]))
    // One that was about to ask when the first reading ended may need a third.
    assert.ok(readings === 2 || readings === 3, `${readings} readings for 11 files`)
  })

  test('an error of a timeout does not wait for the holders for more than 100 ms', async (t) => {
    const late = ['ERR_LOCK_TIMEOUT', 'not known']
    const expected = [1, 400, 2].map((timeout) => [timeout, ...late])
    assert.deepEqual(await slowProc(t, 'limited'), expected, 'told before a wait of 400 ms ended')
  })

  test('a command line that cannot be read keeps nobody from an answer about others', async (t) => {
    const mode = 'exclusive'
    assert.deepEqual(await slowProc(t, 'stuck'), [
      { pid: 5_000_002, mode, command: 'other' },
      { pid: 5_000_001, mode, command: 'stuck' },
    ])
  })
})

describe('holders() everywhere', () => {
  test('is empty for a file that nobody holds, or that is missing, and creates none', async (t) => {
    const nobody = LINUX ? [] : undefined
    const file = temporaryPath(t)
    assert.deepEqual(await lockFile(file).holders(), nobody)
    assert.equal(fs.existsSync(file), false)
    lockFile(file).acquireSync().release()
    assert.deepEqual(await lockFile(file).holders(), nobody)
  })

  test('rejects with the error of the system where the path cannot be followed', onLinux, async (t) => {
    const file = temporaryPath(t)
    fs.writeFileSync(file, '')
    const { code, syscall, path: named } = await errorOf(() => lockFile(`${file}/x`).holders())
    assert.deepEqual({ code, syscall, path: named }, { code: 'ENOTDIR', syscall: 'open', path: `${file}/x` })
  })

  test('keeps the process alive until it has answered', async (t) => {
    const source = `lockFile(process.argv[1]).holders().then(() => console.log('answered'))`
    assert.deepEqual(await script(t, source, [temporaryPath(t)]).rest(), ['answered'])
  })
})

describe('waitersOf()', onLinux, () => {
  const { lockFile, waitersOf } = require('../../lib/file-lock.js')

  test('names the first waiter of each process that waits in the kernel, and no holder', flock1, async (t) => {
    const file = temporaryPath(t)
    const lock = lockFile(file)
    assert.deepEqual(await waitersOf(lock), [])
    await lock.acquire()
    assert.deepEqual(await waitersOf(lock), [])
    const flock = new Talker(t, 'flock', ['--shared', file, 'echo', 'locked'])
    const waiter = agent(t, file)
    assert.equal(await waiter.ask('acquire'), 'waiting')
    const own = Array.from({ length: 3 }, () => lockFile(file).acquire())
    await until(async () => (await waitersOf(lock)).length >= 2, 'two processes wait in the kernel')
    assert.deepEqual(byPid(await waitersOf(lock)), byPid([told(flock.pid, 'shared'), told(waiter.pid)]))
    assert.deepEqual(await lock.holders(), [told(process.pid)])
    const waiterIn = waiter.line().then(() => waiter.ask('release'))
    lock.release()
    for (const next of own) (await next).release()
    assert.equal(await flock.line(), 'locked')
    await waiterIn
    assert.deepEqual(await waitersOf(lock), [])
  })

  test('names the first of several that wait in one process', async (t) => {
    const file = temporaryPath(t)
    const holder = await holderOf(t, file)
    const first = lockFile(file).acquire({ mode: 'shared' })
    const others = [1, 2].map(() => lockFile(file).acquire())
    await until(async () => (await waitersOf(lockFile(file))).length > 0, 'somebody waits in the kernel')
    assert.deepEqual(await waitersOf(lockFile(file)), [told(process.pid, 'shared')])
    await holder.ask('release')
    for (const next of [first, ...others]) (await next).release()
  })

  test('rejects with the error of the system where the path cannot be followed', async (t) => {
    const file = temporaryPath(t)
    fs.writeFileSync(file, '')
    assert.equal((await errorOf(() => waitersOf(lockFile(`${file}/x`)))).code, 'ENOTDIR')
  })
})
