'use strict'

// The command-line tool runs a command while it holds a lock: what the command gets, when it runs, what is passed on.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../..')
const {
  eventually,
  isFree,
  locket,
  outcomeOf,
  PATIENCE,
  runLocket,
  staysPending,
  temporaryFolder,
  temporaryPath,
  TOOL,
} = require('../support.js')

const WINDOWS = process.platform === 'win32'
const ON_LINUX = process.platform === 'linux'
const onUnix = { skip: WINDOWS && 'it takes a shell of Unix' }

/** A command that prints a line, and ends with CODE when it is told to. */
const hold = (code = 0) => [
  process.execPath,
  '-e',
  `console.log('running'); process.stdin.once('data', () => process.exit(${code})).once('end', () => process.exit())`,
]

/** A command that prints `line`. */
const print = (line) => [process.execPath, '-p', JSON.stringify(line)]

describe('the command', () => {
  for (const code of [0, 1, 7, 255]) {
    test(`ends, and its exit code is passed on: ${code}`, (t) => {
      const command = [process.execPath, '-e', `process.exit(${code})`]
      const outcome = runLocket([temporaryPath(t), ...command])
      assert.deepEqual(outcome, { code, signal: null, stdout: '', stderr: '' })
    })
  }

  test('gets the same stdin, stdout and stderr', (t) => {
    const source = `process.stdin.pipe(process.stdout); console.error('error')`
    const outcome = runLocket([temporaryPath(t), process.execPath, '-e', source], { input: 'some\ninput' })
    assert.deepEqual(outcome, { code: 0, signal: null, stdout: 'some\ninput', stderr: 'error\n' })
  })

  test('gets its arguments as they are', (t) => {
    const args = ['', ' ', 'a b', '"', "'", '\\', '$HOME', '%PATH%', '*', '-n', '--', '-c', 'ä€', 'a\nb']
    const source = 'console.log(JSON.stringify(process.argv.slice(1)))'
    const { stdout } = runLocket([temporaryPath(t), process.execPath, '-e', source, '--', ...args])
    assert.deepEqual(JSON.parse(stdout), args)
  })

  test('gets the same environment and folder', (t) => {
    const cwd = temporaryFolder(t)
    const env = { ...process.env, LOCKET_TEST_VALUE: 'a value' }
    const source = 'console.log(process.env.LOCKET_TEST_VALUE, process.cwd())'
    const { stdout } = runLocket(['relative.lock', process.execPath, '-e', source], { cwd, env })
    assert.equal(stdout, `a value ${cwd}\n`)
    assert.deepEqual(fs.readdirSync(cwd), ['relative.lock'])
  })

  test('runs while the lock is held, and no longer', async (t) => {
    const file = temporaryPath(t)
    const child = locket(t, [file, ...hold(3)])
    assert.equal(await child.line(), 'running')
    assert.equal(await isFree(file), false)
    assert.equal(await lockFile(file).tryAcquire({ mode: 'shared' }), false)
    child.say('end')
    assert.equal((await eventually(child.exited, 'the end')).code, 3)
    assert.equal(await isFree(file), true)
  })

  test('of a shared lock runs beside others', async (t) => {
    const file = temporaryPath(t)
    const children = [locket(t, ['-s', file, ...hold()]), locket(t, ['--shared', file, ...hold()])]
    for (const child of children) assert.equal(await child.line(), 'running')
    assert.equal(runLocket(['-n', file, ...print('ran')]).code, 1)
    for (const child of children) {
      assert.equal(await isFree(file), false)
      child.say('end')
      await eventually(child.exited, 'the end')
    }
    assert.equal(await isFree(file), true)
  })

  test('waits for the lock as long as it takes', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = locket(t, ['--quiet', file, ...hold()])
    const line = child.line()
    assert.ok(await staysPending(line, 500))
    lock.release()
    assert.equal(await line, 'running')
    child.say('end')
    assert.deepEqual(await eventually(child.exited, 'the end'), { code: 0, signal: null, stderr: '' })
  })

  test('gets in within a timeout that is long enough', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const child = locket(t, ['-w', '1e9', file, ...print('running')])
    const line = child.line()
    assert.ok(await staysPending(line, 200))
    lock.release()
    assert.equal(await line, 'running')
    assert.equal((await eventually(child.exited, 'the end')).code, 0)
  })

  test('that cannot be run: 69, and the lock is free', async (t) => {
    const folder = temporaryFolder(t)
    const file = path.join(folder, 'test.lock')
    const commands = WINDOWS ? ['missing'] : ['missing', './missing', '', '.', folder]
    for (const command of commands) {
      const { code, stdout, stderr } = runLocket([file, command], { cwd: folder })
      assert.deepEqual({ code, stdout }, { code: 69, stdout: '' }, command)
      assert.ok(stderr.startsWith(`locket: failed to execute ${command}: `), stderr)
      assert.equal(stderr.indexOf('\n'), stderr.length - 1, stderr)
      assert.equal(await isFree(file), true)
    }
  })

  test('is not kept from running because nobody reads what --verbose says', async (t) => {
    const file = temporaryPath(t)
    const mark = `${file}.mark`
    const source = `require('fs').writeFileSync(${JSON.stringify(mark)}, '')`
    const child = spawn(process.execPath, [TOOL, '--verbose', file, process.execPath, '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child.stdout.destroy()
    assert.deepEqual(await eventually(once(child, 'exit'), 'the end'), [0, null])
    assert.ok(fs.existsSync(mark))
  })
})

describe('a lock that is taken', () => {
  /** Options that give up, and the exit code that they end with. */
  const REFUSED = [
    [['-n'], 1],
    [['--nonblock'], 1],
    [['-w', '0'], 1],
    [['-w', '0.05'], 1],
    [['--timeout=0.05', '-s'], 1],
    [['-n', '-w', '1e9'], 1],
    [['-n', '-E', '9'], 9],
    [['-w', '0.05', '--conflict-exit-code', '255'], 255],
    [['-n', '-E', '0'], 0],
  ]

  for (const [options, code] of REFUSED) {
    test(`ends with exit code ${code} and a line on stderr by ${options.join(' ')}, and the command does not run`, async (t) => {
      const file = temporaryPath(t)
      const lock = await lockFile(file).acquire()
      const outcome = runLocket([...options, file, ...print('ran')])
      const quiet = runLocket([...options, '--quiet', file, ...print('ran')])
      lock.release()
      const { stderr, ...rest } = outcome
      assert.deepEqual(rest, { code, signal: null, stdout: '' })
      assert.match(stderr, new RegExp(`^locket: .+ lock of ${file}.*\n$`))
      assert.deepEqual(quiet, { ...rest, stderr: '' })
    })
  }

  test('is waited for no longer than --timeout says, but that long', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const begin = performance.now()
    const { code } = runLocket(['-w', '0.75', file, ...print('ran')])
    const elapsed = performance.now() - begin
    lock.release()
    assert.equal(code, 1)
    assert.ok(elapsed >= 750, `it took ${elapsed} ms`)
  })

  test('is told from a command that has failed: by what has happened, of which file, and who it was', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    const [refused, late] = [['-n'], ['-w', '0.05']].map((options) => {
      // On a busy machine the system may be too late to tell who it was: then again.
      for (const end = performance.now() + PATIENCE; ; ) {
        const outcome = runLocket([...options, file, ...print('ran')])
        if (!ON_LINUX || outcome.stderr.includes('held by') || performance.now() > end) return outcome
      }
    })
    lock.release()
    // It has started the tool.
    const who = ON_LINUX ? `, held by ${process.pid} \\(.+\\); ${process.pid} is an ancestor of this process` : ''
    assert.match(refused.stderr, new RegExp(`^locket: failed to get lock of ${file}${who}\n$`))
    assert.match(late.stderr, new RegExp(`^locket: timeout while waiting to get lock of ${file}${who}\n$`))
    assert.deepEqual([refused.stdout, late.stdout], ['', ''])
  })

  test('is told from a path that does not answer', (t) => {
    const file = temporaryPath(t)
    const preload = `${file}.preload.js`
    fs.writeFileSync(
      preload,
      `const { FileLock } = require(${JSON.stringify(path.resolve(__dirname, '../..'))})
      FileLock.prototype.acquire = async () => {
        throw Object.assign(new Error('Couldn’t lock x: the path does not answer'), { code: 'ERR_LOCK_TIMEOUT' })
      }`,
    )
    const { code, stderr } = outcomeOf(process.execPath, ['--require', preload, TOOL, '-n', file, ...print('ran')])
    assert.deepEqual([code, stderr], [1, `locket: failed to get lock of ${file}: the path does not answer\n`])
  })
})

test('--verbose says on stdout how long the wait was, and what is executed', (t) => {
  const { code, stdout, stderr } = runLocket(['--verbose', temporaryPath(t), ...print('ran')])
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  const [took, executing, ...rest] = stdout.split(/\r?\n/)
  assert.match(took, /^locket: getting lock took \d+\.\d{6} seconds$/)
  assert.equal(executing, `locket: executing ${process.execPath}`)
  assert.deepEqual(rest, ['ran', ''])
})

describe('-c', () => {
  test('runs a line in the shell, while the lock is held', async (t) => {
    const file = temporaryPath(t)
    const child = locket(t, [file, '-c', `echo first&& ${WINDOWS ? 'set /p x=' : 'read x'}&& exit 5`])
    assert.equal(await child.line(), 'first')
    assert.equal(await isFree(file), false)
    child.say('end')
    assert.equal((await eventually(child.exited, 'the end')).code, 5)
  })

  test('takes the shell from SHELL, and /bin/sh without it', onUnix, (t) => {
    const folder = temporaryFolder(t)
    const shell = path.join(folder, 'shell')
    fs.writeFileSync(shell, '#!/bin/sh\necho "my shell: $*"\n', { mode: 0o755 })
    const run = (SHELL) => {
      const { SHELL: _, ...env } = process.env
      if (SHELL !== undefined) env.SHELL = SHELL
      return runLocket(['--verbose', 'test.lock', '-c', 'echo "$0"'], { cwd: folder, env }).stdout.split('\n').slice(1)
    }
    assert.deepEqual(run(shell), [`locket: executing ${shell}`, 'my shell: -c echo "$0"', ''])
    assert.deepEqual(run(''), ['locket: executing /bin/sh', '/bin/sh', ''])
    assert.deepEqual(run(undefined), ['locket: executing /bin/sh', '/bin/sh', ''])
  })
})

test('a command of many processes that all want the lock runs in one of them at a time', async (t) => {
  const file = temporaryPath(t)
  const counter = `${file}.count`
  fs.writeFileSync(counter, '0')
  // Not atomic: two at a time would lose a count.
  const source = `const fs = require('fs')
    const count = Number(fs.readFileSync(process.argv[1], 'utf8'))
    setTimeout(() => fs.writeFileSync(process.argv[1], String(count + 1)), 20)`
  const children = Array.from({ length: 8 }, () =>
    locket(t, ['--quiet', file, process.execPath, '-e', source, counter]),
  )
  for (const child of children) {
    assert.deepEqual(await eventually(child.exited, 'the end'), { code: 0, signal: null, stderr: '' })
  }
  assert.equal(fs.readFileSync(counter, 'utf8'), '8')
})
