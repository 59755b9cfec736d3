'use strict'

// The man page of the command, and its completions, in the shells that they are for.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { OPTIONS } = require('../../bin/cli/arguments.js')
const { ALL, REFUSED } = require('../../scripts/manual/options.js')
const { writeManual } = require('../../scripts/manual.js')
const { version } = require('../../package.json')
const { temporaryFolder } = require('../support/folders.js')
const { needing } = require('../support/systems.js')

/** How long a shell has to answer, in milliseconds. */
const LIMIT = 60_000

/** Makes the files in a folder of the test, with a file to lock in it. */
function made(t) {
  const folder = temporaryFolder(t)
  writeManual(folder)
  fs.writeFileSync(path.join(folder, 'build.lock'), '')
  return folder
}

/** Returns what a program prints. */
function output(program, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8', timeout: LIMIT })
  assert.deepEqual({ error, status, stderr }, { error: undefined, status: 0, stderr: '' })
  return stdout
}

test('every option of the command is described, by all its names', () => {
  const described = ALL.flatMap(({ names }) => names)
  const known = Object.entries(OPTIONS).filter(([name]) => !REFUSED.includes(name))
  const names = known.flatMap(([name, { short }]) => [
    ...(name.length > 1 ? [`--${name}`] : []),
    ...(short ? [`-${short}`] : []),
  ])
  assert.deepEqual(described.sort(), [...new Set(names)].sort())
  for (const { name, value } of ALL) assert.equal(value !== undefined, OPTIONS[name].type === 'string', name)
})

test('the man page is formatted without a warning, and has the version and every option', needing('groff'), (t) => {
  const text = output('groff', ['-man', '-Tascii', '-P-cbou', '-ww', 'locket.1'], made(t))
  assert.ok(text.includes(`@locket/native ${version}`))
  const said = text.replace(/\s+/g, ' ')
  for (const { names, value } of ALL) assert.ok(said.includes([names.join(', '), value].join(' ').trim()), names[0])
})

/** Prints what bash offers for the line $1, where $2 is sourced first. */
const BASH = `
  [ -z "$2" ] || . "$2"
  . ./completions/locket.bash
  read -ra COMP_WORDS <<<"$1"
  [[ $1 == *' ' ]] && COMP_WORDS+=('')
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)) COMP_LINE=$1 COMP_POINT=\${#1}
  compopt() { :; }
  _locket
  printf '%s\\n' "\${COMPREPLY[@]}" | sort -u`

/** Prints the line $1 as zsh completes it, in a terminal. */
const ZSH = `
  zmodload zsh/zpty
  zpty shell zsh -f -i
  zpty -w shell "PS1= fpath=(\${(q)PWD}/completions \\$fpath); autoload -Uz compinit; compinit -u -D
    show() { print -r -- \\$BUFFER >completed.new; mv completed.new completed }
    zle -N show; bindkey '^X' show; bindkey '^I' complete-word"
  zpty -w -n shell "$1"$'\\t\\x18'
  while [[ ! -e completed ]]; do zpty -r -t shell said; sleep 0.02; done
  cat completed`

/** Returns what a shell makes of the word at the end of `line`: all that it offers. */
const SHELLS = {
  bash: (line, cwd) => output('bash', ['--norc', '-c', BASH, 'bash', line], cwd),
  fish: (line, cwd) =>
    output('fish', ['--no-config', '-c', 'source completions/locket.fish; complete -C $argv', line], cwd),
  zsh(line, cwd) {
    fs.rmSync(path.join(cwd, 'completed'), { force: true })
    return output('zsh', ['-f', '-c', ZSH, 'zsh', line], cwd).trimEnd().split(' ').at(-1)
  },
}

/** What is offered, by shell, without descriptions. */
const offers = (shell, line, cwd) =>
  SHELLS[shell](line, cwd)
    .split('\n')
    .map((each) => each.split('\t')[0].replace(/=$/, ''))
    .filter(Boolean)

/** Lines whose last word can only be one. */
const LINES = [
  ['locket --conf', '--conflict-exit-code'],
  ['locket -w 5 --exc', '--exclusive'],
  ['locket --protocol mk', 'mkdir'],
  ['locket build.lock mkfi', 'mkfifo'],
  ['locket -nsw 5 build.lock -- mkfi', 'mkfifo'],
  ['locket --protocol mkdir build.lock mkfi', 'mkfifo'],
]

for (const shell of Object.keys(SHELLS)) {
  test(`${shell} completes options before FILE, and then the command`, needing(shell), (t) => {
    const folder = made(t)
    for (const [line, word] of LINES) assert.deepEqual(offers(shell, line, folder), [word], line)
  })
}
