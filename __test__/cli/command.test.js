'use strict'

// The command-line tool runs a command while it holds a lock: what the command gets, when it runs, what is passed on.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { lockFile } = require('../..')
const { changed, COMMAND, locket, runLocket } = require('../support/command.js')
const { temporaryFolder, temporaryPath } = require('../support/folders.js')
const { isFree, locked } = require('../support/locks.js')
const { GOOD_END, outcomeOf } = require('../support/processes.js')
const { LINUX, onUnix, WINDOWS } = require('../support/systems.js')
const { eventually, PATIENCE, staysPending } = require('../support/waiting.js')

/** What the tool runs for some JavaScript. */
const node = (source, ...args) => [process.execPath, '-e', source, ...args]

/** A command that prints a line, and ends with CODE when it is told to. */
const hold = (code = 0) =>
  node(
    `console.log('running'); process.stdin.once('data', () => process.exit(${code})).once('end', () => process.exit())`,
  )

const PRINT = node('console.log("ran")')

const PLAIN = { ...GOOD_END, stdout: '' }

describe('the command', () => {
  for (const code of [0, 7, 255]) {
    test(`ends, and its exit code is passed on: ${code}`, (t) =>
      assert.deepEqual(runLocket([temporaryPath(t), ...node(`process.exit(${code})`)]), { ...PLAIN, code }))
  }

  test('gets the same stdin, stdout and stderr', (t) => {
    const command = node(`process.stdin.pipe(process.stdout); console.error('error')`)
    const outcome = runLocket([temporaryPath(t), ...command], { input: 'some\ninput' })
    assert.deepEqual(outcome, { ...PLAIN, stdout: 'some\ninput', stderr: 'error\n' })
  })

  test('gets its arguments as they are', (t) => {
    const args = ['', ' ', 'a b', '"', "'", '\\', '$HOME', '%PATH%', '*', '-n', '--', '-c', 'ä€', 'a\nb']
    const command = node('console.log(JSON.stringify(process.argv.slice(1)))', '--', ...args)
    assert.deepEqual(JSON.parse(runLocket([temporaryPath(t), ...command]).stdout), args)
  })

  test('gets the same environment and folder', (t) => {
    const cwd = temporaryFolder(t)
    const env = { ...process.env, LOCKET_TEST_VALUE: 'a value' }
    const command = node('console.log(process.env.LOCKET_TEST_VALUE, process.cwd())')
    assert.equal(runLocket(['relative.lock', ...command], { cwd, env }).stdout, `a value ${cwd}\n`)
    assert.deepEqual(fs.readdirSync(cwd), ['relative.lock'])
  })

  test('runs while the lock is held, and no longer', async (t) => {
    const file = temporaryPath(t)
    const child = locket(t, [file, ...hold(3)])
    assert.equal(await child.line(), 'running')
    assert.equal(await isFree(file), false)
    assert.equal(await lockFile(file).tryAcquire({ mode: 'shared' }), false)
    child.say('end')
    assert.equal((await child.ended()).code, 3)
    assert.equal(await isFree(file), true)
  })

  test('of a shared lock runs beside others', async (t) => {
    const file = temporaryPath(t)
    const children = [locket(t, ['-s', file, ...hold()]), locket(t, ['--shared', file, ...hold()])]
    for (const child of children) assert.equal(await child.line(), 'running')
    assert.equal(runLocket(['-n', file, ...PRINT]).code, 1)
    for (const child of children) {
      assert.equal(await isFree(file), false)
      child.say('end')
      await child.ended()
    }
    assert.equal(await isFree(file), true)
  })

  for (const [limit, options] of Object.entries({ 'without a timeout': [], 'within --timeout': ['-w', '1e9'] })) {
    test(`waits for the lock, ${limit}`, async (t) => {
      const file = temporaryPath(t)
      const lock = locked(t, file)
      const child = locket(t, ['--quiet', ...options, file, ...PRINT])
      const line = child.line()
      assert.ok(await staysPending(line, 300))
      lock.release()
      assert.equal(await line, 'ran')
      assert.deepEqual(await child.ended(), GOOD_END)
    })
  }

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
    const command = node('require("fs").writeFileSync(process.argv[1], "")', `${file}.mark`)
    const stdio = ['ignore', 'pipe', 'inherit']
    const child = spawn(process.execPath, [COMMAND, '--verbose', file, ...command], { stdio })
    child.stdout.destroy()
    assert.deepEqual(await eventually(once(child, 'exit'), 'the end'), [0, null])
    assert.ok(fs.existsSync(`${file}.mark`))
  })
})

describe('a lock that is taken', () => {
  /** Options that give up, and the exit code that they end with. More of them beside flock(1): interop/cli.test.js. */
  const REFUSED = [
    [['-n', '-w', '1e9'], 1],
    [['--timeout=0.05', '-s'], 1],
    [['-n', '-E', '9'], 9],
    [['-w', '0.05', '--conflict-exit-code', '255'], 255],
    [['-n', '-E', '0'], 0],
  ]

  for (const [options, code] of REFUSED) {
    test(`ends with exit code ${code} and a line on stderr by ${options.join(' ')}, and the command does not run`, (t) => {
      const file = temporaryPath(t)
      locked(t, file)
      const { stderr, ...rest } = runLocket([...options, file, ...PRINT])
      assert.deepEqual(rest, { code, signal: null, stdout: '' })
      assert.match(stderr, new RegExp(`^locket: .+ lock of ${file}.*\n$`))
    })
  }

  test('is waited for no longer than --timeout says, but that long; nothing is said with --quiet', (t) => {
    const file = temporaryPath(t)
    locked(t, file)
    const begin = performance.now()
    const outcome = runLocket(['--quiet', '-w', '0.75', file, ...PRINT])
    const elapsed = performance.now() - begin
    assert.deepEqual(outcome, { ...PLAIN, code: 1 })
    assert.ok(elapsed >= 750, `it took ${elapsed} ms`)
    assert.deepEqual(runLocket(['--quiet', '-n', file, ...PRINT]), { ...PLAIN, code: 1 })
  })

  test('is told from a command that has failed: by what has happened, of which file, and who it was', (t) => {
    const file = temporaryPath(t)
    locked(t, file)
    // This process has started the tool.
    const who = LINUX ? `, held by ${process.pid} \\(.+\\); ${process.pid} is an ancestor of this process` : ''
    for (const [options, what] of [
      [['-n'], 'failed'],
      [['-w', '0.05'], 'timeout while waiting'],
    ]) {
      let outcome
      // On a busy machine the system may be too late to tell who it was: then again.
      const end = performance.now() + PATIENCE
      do outcome = runLocket([...options, file, ...PRINT])
      while (LINUX && !outcome.stderr.includes('held by') && performance.now() < end)
      assert.match(outcome.stderr, new RegExp(`^locket: ${what} to get lock of ${file}${who}\n$`))
      assert.equal(outcome.stdout, '')
    }
  })

  test('is told from a path that does not answer', (t) => {
    const file = temporaryPath(t)
    const unanswered = `FileLock.prototype.acquire = async () => {
      throw Object.assign(new Error('Couldn’t lock x: the path does not answer'), { code: 'ERR_LOCK_TIMEOUT' })
    }`
    const { code, stderr } = outcomeOf(process.execPath, [...changed(t, unanswered), '-n', file, ...PRINT])
    assert.deepEqual([code, stderr], [1, `locket: failed to get lock of ${file}: the path does not answer\n`])
  })
})

test('--verbose says on stdout how long the wait was, and what is executed', (t) => {
  const { stdout, ...rest } = runLocket(['--verbose', temporaryPath(t), ...PRINT])
  assert.deepEqual(rest, GOOD_END)
  const [took, ...others] = stdout.split(/\r?\n/)
  assert.match(took, /^locket: getting lock took \d+\.\d{6} seconds$/)
  assert.deepEqual(others, [`locket: executing ${process.execPath}`, 'ran', ''])
})

describe('-c', () => {
  test('runs a line in the shell, while the lock is held', async (t) => {
    const file = temporaryPath(t)
    const child = locket(t, [file, '-c', `echo first&& ${WINDOWS ? 'set /p x=' : 'read x'}&& exit 5`])
    assert.equal(await child.line(), 'first')
    assert.equal(await isFree(file), false)
    child.say('end')
    assert.equal((await child.ended()).code, 5)
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
    for (const none of ['', undefined]) assert.deepEqual(run(none), ['locket: executing /bin/sh', '/bin/sh', ''])
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
  const children = Array.from({ length: 8 }, () => locket(t, ['--quiet', file, ...node(source, counter)]))
  for (const child of children) assert.deepEqual(await child.ended(), GOOD_END)
  assert.equal(fs.readFileSync(counter, 'utf8'), '8')
})
