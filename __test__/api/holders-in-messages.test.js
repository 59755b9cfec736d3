'use strict'

// What a message says of those who hold the lock: three of them, by number and program, and nothing that may be secret.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')

const { lockFile, LockTimeoutError } = require('../..')
const { nameHolders } = require('../../lib/errors.js')
const { temporaryPath } = require('../support/folders.js')
const { holderOf, Talker } = require('../support/processes.js')
const { needing, onLinux } = require('../support/systems.js')
const { errorNamingHolders } = require('../support/waiting.js')

describe('a LockTimeoutError', onLinux, () => {
  /** The errors of all ways to wait in vain. */
  const errorsOf = (file) =>
    Promise.all([
      errorNamingHolders(() => lockFile(file).acquire({ timeout: 5 })),
      errorNamingHolders(() => lockFile(file).run(() => assert.fail('the task ran'), { timeout: 5 })),
      errorNamingHolders(async () => lockFile(file).acquireSync({ timeout: 5 })),
      errorNamingHolders(() => lockFile(file, { timeout: 5 }).acquire({ mode: 'shared' })),
    ])

  test('says who was in the way', async (t) => {
    const file = temporaryPath(t)
    const holder = await holderOf(t, file)
    const told = await lockFile(file).holders()
    const who = `held by ${holder.pid} (node agent.js)`
    for (const error of await errorsOf(file)) {
      assert.ok(error instanceof LockTimeoutError)
      assert.equal(error.message, `Couldn't lock ${file} within 5 ms: ${who}`)
      assert.deepEqual(error.holders, told)
    }
    const { message } = await errorNamingHolders(() => lockFile(file).acquire({ timeout: 0 }))
    assert.equal(message, `Couldn't lock ${file}: ${who}`)
  })

  test('says so when the process itself holds the lock', async (t) => {
    const file = temporaryPath(t)
    const lock = await lockFile(file).acquire()
    for (const { message } of await errorsOf(file)) {
      assert.match(message, new RegExp(`: held by ${process.pid} \\(.*\\), which is this process$`))
    }
    lock.release()
  })

  test('names three of many, and only their programs: arguments may be secret', needing('flock'), async (t) => {
    const file = temporaryPath(t)
    for (let i = 0; i < 5; i++) {
      const command = ['sh', '-c', 'echo locked; read line', 'x'.repeat(200)]
      assert.equal(await new Talker(t, 'flock', ['--shared', file, ...command]).line(), 'locked')
    }
    const error = await errorNamingHolders(() => lockFile(file).acquire({ timeout: 0 }))
    assert.match(error.message, /: held by (\d+ \(flock\), ){2}\d+ \(flock\) and 2 more$/)
    assert.equal(error.holders.length, 5)
    for (const { command } of error.holders) assert.ok(command.endsWith('x'.repeat(200)))
  })

  test('of many that come together has its holder each', async (t) => {
    const file = temporaryPath(t)
    const holder = await holderOf(t, file)
    const errors = await Promise.all(
      Array.from({ length: 2000 }, () => errorNamingHolders(() => lockFile(file).acquire({ timeout: 20 }))),
    )
    const told = await lockFile(file).holders()
    assert.equal(told[0].pid, holder.pid)
    for (const { holders } of errors) assert.deepEqual(holders, told)
  })
})

/** What is shown of a process with this command line. */
const shown = (command) => nameHolders([{ pid: 1, mode: 'exclusive', command }]).slice('held by '.length)

test('a program is called by the last part of its path, without its arguments', () => {
  assert.equal(shown('/usr/bin/flock --shared /tmp/x.lock sh -c echo'), '1 (flock)')
  assert.equal(shown('npm run deploy --token=secret'), '1 (npm)')
  assert.equal(shown('postgres: user database'), '1 (postgres:)')
  assert.equal(shown('-bash'), '1 (bash)')
  assert.equal(shown('env TOKEN=secret node deploy.js'), '1 (env)')
})

test('an interpreter is called together with its script', () => {
  const scripts = {
    'node deploy.js --token=secret': 'node deploy.js',
    '/usr/bin/node --enable-source-maps /srv/app/deploy.js secret': 'node deploy.js',
    'node --require ./hook.js server': 'node server',
    'node -r ./hook.js server': 'node server',
    'node -- server': 'node server',
    'python3.12 -u backup.py secret': 'python3.12 backup.py',
    'python3 -m http.server 80': 'python3 http.server',
    'sh -e /etc/cron.daily/backup secret': 'sh backup',
    '/bin/bash ./run.sh secret': 'bash run.sh',
    'perl -w rotate.pl': 'perl rotate.pl',
    'ruby build.rb': 'ruby build.rb',
    'deno run --allow-read main.ts': 'deno main.ts',
    'bun run index.ts': 'bun index.ts',
    'bun index.ts': 'bun index.ts',
  }
  for (const [command, expected] of Object.entries(scripts)) assert.equal(shown(command), `1 (${expected})`, command)
})

test('code on the command line, what is read from standard input, and what may be the value of an option are not shown', () => {
  const commands = [
    'node -e secret',
    'node --eval secret more secrets',
    'node --eval=secret secret',
    'node -pe secret',
    'node --print secret',
    'node - secret',
    'node --title secret server',
    'node --title=my secret server',
    'python3 -c secret',
    'python3 -Ic secret',
    'bash -c secret',
    'sh -ec secret',
    'bash -s secret',
    'perl -ne secret',
    'ruby -e secret',
    'bun -e secret',
  ]
  for (const command of commands) {
    assert.equal(shown(command), `1 (${command.split(' ')[0]})`)
  }
  assert.equal(shown('deno eval secret'), '1 (deno eval)')
  assert.equal(shown('bun exec secret'), '1 (bun exec)')
})

test('where nothing can be shown it is the number alone', () => {
  for (const command of [undefined, '', ' ', 'TOKEN=secret node']) assert.equal(shown(command), '1')
})

test('a long name is cut off', () => {
  assert.equal(shown(`/x/${'a'.repeat(200)}`), `1 (${'a'.repeat(59)}…)`)
  assert.equal(shown(`node ${'a'.repeat(200)}.js`), `1 (node ${'a'.repeat(59)}…)`)
})
