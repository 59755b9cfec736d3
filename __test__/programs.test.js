'use strict'

// What a process is called in a message: by its number and its program, with the script that the program runs.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { nameHolders } = require('../lib/errors.js')

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
