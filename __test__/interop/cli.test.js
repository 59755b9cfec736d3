'use strict'

// The command-line tool beside flock(1) of util-linux: the same arguments, the same outcome; and each holding what the
// other one wants.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')

const { COMMAND } = require('../support/command.js')
const { temporaryFolder, temporaryPath, temporaryPaths } = require('../support/folders.js')
const { isFree, locked } = require('../support/locks.js')
const { outcomeOf, Talker } = require('../support/processes.js')
const { LINUX, needing, needs } = require('../support/systems.js')
const { staysPending, until } = require('../support/waiting.js')

const options = needing('flock')

/** What starts each of them. */
const PROGRAMS = { locket: [process.execPath, COMMAND], flock: ['flock'] }

/** Runs a program in `cwd`, with what a shell sees of its end. */
function outcomeOfProgram(name, args, cwd) {
  const line = 'exec 2>/dev/null; echo input | "$@"; echo "exit code $?"'
  const { stdout } = outcomeOf('sh', ['-c', line, 'sh', ...PROGRAMS[name], ...args], { cwd })
  return stdout.replaceAll(/^(locket|flock): /gm, 'NAME: ').replace(/took \d+\.\d{6} s/, 'took TIME s')
}

/** The same of both, each in a folder of its own that `prepare` has seen. */
function outcomesOf(t, args, prepare = () => {}) {
  return Object.keys(PROGRAMS).map((name) => {
    const folder = temporaryFolder(t)
    prepare(folder)
    return outcomeOfProgram(name, args, folder)
  })
}

/** Arguments, and what both do with them: what is printed, and the exit code as the shell has it. */
const ALIKE = [
  [['f', 'true'], 0],
  [['f', 'false'], 1],
  [['f', 'sh', '-c', 'exit 255'], 255],
  [['f', 'echo', '', 'a b', '-n', '--', '$HOME'], 0, ' a b -n -- $HOME\n'],
  [['f', 'cat'], 0, 'input\n'],
  [['f', 'ls'], 0, 'f\n'],
  [['-s', 'f', 'echo', 'ran'], 0, 'ran\n'],
  [['-x', 'f', 'echo', 'ran'], 0, 'ran\n'],
  [['-e', 'f', 'echo', 'ran'], 0, 'ran\n'],
  [['-s', '-x', 'f', 'echo', 'ran'], 0, 'ran\n'],
  [['-n', 'f', 'echo', 'ran'], 0, 'ran\n'],
  [['-nxw5', '-E7', 'f', 'echo', 'ran'], 0, 'ran\n'],
  [['--nb', '--excl', '--time=5', '--wait', '5', '--conf', '7', 'f', 'echo', 'ran'], 0, 'ran\n'],
  [['-w', '+1e1', 'f', 'echo', 'ran'], 0, 'ran\n'],
  [['--', 'f', 'echo', 'ran'], 0, 'ran\n'],
  [['f', '-c', 'echo ran; exit 3'], 3, 'ran\n'],
  [['f', '--command', 'echo "$0"'], 0, `${process.env.SHELL || '/bin/sh'}\n`],
  [['f', 'sh', '-c', 'kill -TERM $$'], 143],
  [['f', 'sh', '-c', 'kill -INT $$'], 130],
  [['f', 'sh', '-c', 'kill -HUP $$'], 129],
  [['f', 'sh', '-c', 'kill -KILL $$'], 137],
  [['f', 'sh', '-c', 'kill -USR1 $$'], 138],
  [['f', './script', 'a', 'b'], 0, 'script: a b\n'],
  [['folder', 'ls'], 0, 'folder\n'],
  [['folder/', '-c', 'echo ran; exit 3'], 3, 'ran\n'],
  [['-s', '.', 'ls', '-a', 'folder'], 0, '.\n..\n'],
  [['f', 'missing'], 69],
  [['f', './missing'], 69],
  [['f', '/'], 69],
  [['f', ''], 69],
  [['f', '-n', 'true'], 69],
  [['missing/f', 'echo', 'ran'], 66],
  [['script/f', 'echo', 'ran'], 66],
  [['/sys/locket', 'echo', 'ran'], 66],
  [['', 'echo', 'ran'], 66],
  [['--verbose', 'f', 'true'], 0, 'NAME: getting lock took TIME seconds\nNAME: executing true\n'],
  [[], 64],
  [['f'], 64],
  [['f', '-c'], 64],
  [['f', '-c', 'a', 'b'], 64],
  [['-c', 'echo', 'f'], 64],
  [['--zzz', 'f', 'true'], 64],
  [['--zzz', '--help'], 64],
  [['-z', 'f', 'true'], 64],
  [['--no', 'f', 'true'], 64],
  [['-w'], 64],
  [['-w', '', 'f', 'true'], 64],
  [['-w', '.', 'f', 'true'], 64],
  [['-w', '5s', 'f', 'true'], 64],
  [['-nw', 'f', 'true'], 64],
  [['--exclusive=1', 'f', 'true'], 64],
  [['-E', '', 'f', 'true'], 64],
  [['-E', '256', 'f', 'true'], 64],
  [['-E', '-1', 'f', 'true'], 64],
  [['-E', '7x', 'f', 'true'], 64],
]

/** A folder that is locked itself. */
const addFolder = (folder) => fs.mkdirSync(path.join(folder, 'folder'))

/** Without a first line, since execvp(3) finds a shell for it. */
function addScript(folder) {
  fs.writeFileSync(path.join(folder, 'script'), 'echo "script: $*"\n', { mode: 0o755 })
}

/** What prepares the folder for arguments with a word. */
const PREPARATIONS = { script: addScript, folder: addFolder }

const named = (args) => args.map((arg) => arg || "''").join(' ') || 'nothing'

describe('locket and flock(1) do the same, when the lock is free, by', () => {
  for (const [args, code, stdout = ''] of ALIKE) {
    test(named(args), options, (t) => {
      const needed = Object.keys(PREPARATIONS).find((word) => args.some((arg) => arg.includes(word)))
      const [locket, flock] = outcomesOf(t, args, PREPARATIONS[needed])
      assert.equal(flock, `${stdout}exit code ${code}\n`)
      assert.equal(locket, flock)
    })
  }
})

/** The same while somebody has the lock. */
const REFUSED = [
  [['-n', 'f', 'echo', 'ran'], 1],
  [['-s', '--nonblock', 'f', 'echo', 'ran'], 1],
  [['-w', '0', 'f', 'echo', 'ran'], 1],
  [['-w', '0.1', 'f', 'echo', 'ran'], 1],
  [['--timeout', '.1', 'f', 'echo', 'ran'], 1],
  [['-w', '60', '-n', 'f', 'echo', 'ran'], 1],
  [['-w', '60', '-w', '0', 'f', 'echo', 'ran'], 1],
  [['-n', '-E', '0', 'f', 'echo', 'ran'], 0],
  [['-n', '-E', '255', 'f', 'echo', 'ran'], 255],
  [['-n', '--verbose', 'f', 'echo', 'ran'], 1],
  [['-n', 'f', 'missing'], 1],
  [['-n', 'f', '-c', 'echo ran'], 1],
]

describe('locket and flock(1) do the same, when the lock is taken, by', () => {
  for (const [args, code] of REFUSED) {
    test(named(args), options, async (t) => {
      const folder = temporaryFolder(t)
      locked(t, path.join(folder, 'f'))
      const [locket, flock] = Object.keys(PROGRAMS).map((name) => outcomeOfProgram(name, args, folder))
      assert.equal(flock, `exit code ${code}\n`)
      assert.equal(locket, flock)
    })
  }
})

test('locket and flock(1) say the same of a lock that is taken; locket adds who has it', options, async (t) => {
  const file = temporaryPath(t)
  locked(t, file)
  for (const limit of [['-n'], ['-w', '0'], ['-w', '0.1']]) {
    const [locket, flock] = Object.values(PROGRAMS).map(([command, ...first]) =>
      outcomeOf(command, [...first, ...limit, '--verbose', file, 'echo', 'ran']).stderr.replace(/^\w+/, 'NAME'),
    )
    assert.ok(locket.startsWith(flock.trimEnd()), `${locket}${flock}`)
    assert.equal(locket.split('\n').length, 2)
  }
})

test('locket and flock(1) hand on the same descriptors and bytes', options, (t) => {
  if (!needs(t, 'bash')) return
  if (!LINUX) return t.skip('only Linux tells one descriptor from another')
  // Files, and pipes of which one end is here; the lock's comes between them.
  const line = `exec 4</dev/zero 6>&1 9< <(true) 20</dev/null; e=$(printf '\\377'); E=$e "$@" "$e" sh -c '
    for n in /proc/$$/fd/*; do echo \${n##*/} $(readlink $n | sed s/[0-9][0-9]*//g); done; printf "%s %s" "$0" "$E"' "a$e"; ls`
  const [locket, flock] = Object.values(PROGRAMS).map((program) =>
    spawnSync('bash', ['-c', line, 'bash', ...program], { cwd: temporaryFolder(t), encoding: 'latin1' }),
  )
  assert.match(flock.stdout, /a\xff \xff/)
  assert.equal(locket.stdout.replace(/locket-\w+/g, 'FOLDER'), flock.stdout.replace(/locket-\w+/g, 'FOLDER'))
  assert.deepEqual([locket.stderr, flock.stderr], ['', ''])
  return undefined
})

/** A program that holds the lock of `file`, with a command that ends when its input does. */
const holderOf = (t, name, file, options = []) => {
  const [command, ...first] = PROGRAMS[name]
  return new Talker(t, command, [...first, ...options, file, 'sh', '-c', 'echo running; read line; echo read'])
}

/** Ends the command of such a program, which ends well with it. */
async function ends(program) {
  program.say('end')
  assert.equal((await program.ended()).code, 0)
}

/** The program does not get the lock of `file` with these options. */
const isRefused = (name, file, ...options) =>
  assert.equal(outcomeOfProgram(name, [...options, file, 'echo', 'ran'], path.dirname(file)), 'exit code 1\n')

for (const [holder, other] of [
  ['locket', 'flock'],
  ['flock', 'locket'],
]) {
  test(
    `while ${holder} holds the lock ${other} is refused, or waits until the command has ended`,
    options,
    async (t) => {
      const file = temporaryPath(t)
      const first = holderOf(t, holder, file)
      assert.equal(await first.line(), 'running')
      isRefused(other, file, '-n')
      isRefused(other, file, '-s', '-w', '0.1')
      const second = holderOf(t, other, file)
      const line = second.line()
      line.catch(() => {})
      assert.ok(await staysPending(line, 200))
      await ends(first)
      assert.equal(await line, 'running')
      assert.equal(await isFree(file), false)
      await ends(second)
      assert.equal(await isFree(file), true)
    },
  )

  test(`${holder} keeps ${other} from a folder that it has locked`, options, async (t) => {
    const folder = temporaryFolder(t)
    const first = holderOf(t, holder, folder)
    assert.equal(await first.line(), 'running')
    isRefused(other, folder, '-n')
    assert.equal(outcomeOf(process.execPath, [COMMAND, '--who', folder]).code, 0)
    await ends(first)
    assert.equal(outcomeOfProgram(other, ['-n', folder, 'echo', 'ran'], folder), 'ran\nexit code 0\n')
    assert.deepEqual(fs.readdirSync(folder), [])
  })

  test(`${holder} and ${other} hold a shared lock together`, options, async (t) => {
    const file = temporaryPath(t)
    const both = [holderOf(t, holder, file, ['-s']), holderOf(t, other, file, ['-s'])]
    for (const each of both) assert.equal(await each.line(), 'running')
    for (const each of both) {
      for (const name of [holder, other]) isRefused(name, file, '-n')
      await ends(each)
    }
    assert.equal(await isFree(file), true)
  })

  test(`a killed ${holder} leaves the lock to its command, and then to ${other}`, options, async (t) => {
    const file = temporaryPath(t)
    const fifo = `${file}.fifo`
    assert.equal(outcomeOf('mkfifo', [fifo]).code, 0)
    const [program, ...first] = PROGRAMS[holder]
    // Open both ways, it is nobody's end of file: the command goes on when the tool, and so its stdin, has gone.
    const command = ['sh', '-c', 'exec <>"$0"; echo running; read line', fifo]
    const writer = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK)
    // Before the tool's own hook, which waits until the command, too, has closed its stdout.
    t.after(() => {
      fs.writeSync(writer, 'end\n')
      fs.closeSync(writer)
    })
    const tool = new Talker(t, program, [...first, file, ...command])
    assert.equal(await tool.line(), 'running')
    process.kill(tool.pid, 'SIGKILL')
    isRefused(other, file, '-w', '0.2')
    fs.writeSync(writer, 'end\n')
    const { stdout } = outcomeOf(PROGRAMS[other][0], [...PROGRAMS[other].slice(1), file, 'echo', 'ran'])
    assert.equal(stdout, 'ran\n')
  })
}

test('locket --who tells of two commands that wait for each other, whichever they are', options, async (t) => {
  if (!LINUX) return t.skip('this system does not tell who holds a lock')
  const [one, two] = temporaryPaths(t, 'one', 'two')
  const nested = (first, second) => {
    const [program, ...args] = PROGRAMS[first]
    const command = ['sh', '-c', 'echo running; read line; "$@"', 'sh', 'flock', second[1], 'true']
    return new Talker(t, program, [...args, second[0], ...command])
  }
  const commands = [nested('locket', [one, two]), nested('flock', [two, one])]
  for (const each of commands) assert.equal(await each.line(), 'running')
  for (const each of commands) each.say('go on')
  const tableOf = (file) => JSON.parse(outcomeOf(process.execPath, [COMMAND, '--who', '--json', file]).stdout)
  await until(() => [one, two].every((file) => tableOf(file).waiters.length === 1), 'both waits')
  const [first, second] = [one, two].map(tableOf)
  assert.deepEqual([first.holders[0].pid, second.holders[0].pid], [commands[0].pid, commands[1].pid])
  for (const [{ waiters }, file] of [
    [first, one],
    [second, two],
  ]) {
    assert.equal(waiters[0].command, `flock ${file} true`)
  }
  // Its command releases the lock that the other one waits for.
  process.kill(first.waiters[0].pid)
  for (const each of commands) await each.ended()
})
