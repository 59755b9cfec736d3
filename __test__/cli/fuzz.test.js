'use strict'

// Command lines that nobody has thought of: each is understood, or is a usage error.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { parse } = require('../../bin/cli/arguments.js')
const { Failure } = require('../../bin/cli/failure.js')
const { check, fc } = require('../support/properties.js')

const USAGE = 64

/** Any string at all, lone surrogates and NUL included. */
const anyString = fc.string({ unit: 'binary', maxLength: 12 })

/** Words that mean something, and such as look like it. */
const words = [
  ...'-s -x -e -n -w -E -c -h -V -u -o -F -z - -- --- --= -= -nsw'.split(' '),
  ...'--shared --exclusive --nonblock --nonblocking --nb --timeout --wait --conflict-exit-code --command'.split(' '),
  ...'--who --json --verbose --quiet --help --version --unlock --close --no-fork --no'.split(' '),
  ...'--protocol --protocol=mkdir --protocol=lockfile --fcntl --stale --stale=5 --update=1 --break --s --u'.split(' '),
  ...'--toString --__proto__ --constructor --hasOwnProperty=1 --no-shared --timeout= --wait=1e3'.split(' '),
  ...['f', '9', '', ' ', '0', '-1', '1e999', 'NaN', '255', '256', '٣'],
]

const anyWord = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...words) },
  { weight: 2, arbitrary: anyString },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...words), anyString).map((parts) => parts.join('')) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...words), fc.constantFrom(...words)).map((parts) => parts.join('=')),
  },
)

const ACTIONS = ['run', 'who', 'break', 'help', 'version']

/** What every request is, whatever was asked for. */
function assertWellFormed(request, args) {
  const { action, mode, timeout, conflictExitCode, file, command, line } = request
  assert.ok(ACTIONS.includes(action), action)
  assert.ok(['exclusive', 'shared'].includes(mode), mode)
  assert.ok(timeout >= 0, String(timeout))
  assert.ok(Number.isInteger(conflictExitCode) && conflictExitCode >= 0 && conflictExitCode <= 255)
  if (action === 'help' || action === 'version') return
  assert.ok(args.includes(file), file)
  if (action === 'who' || action === 'break')
    return assert.deepEqual({ command, line }, { command: undefined, line: undefined })
  // The command is what the command line ends with, word for word.
  if (line !== undefined) return assert.deepEqual([line, command], [args.at(-1), undefined])
  assert.ok(command.length > 0)
  assert.deepEqual(command, args.slice(-command.length))
}

test('any list of words is a request, or a usage error', () =>
  check(fc.array(anyWord, { maxLength: 8 }), (args) => {
    const before = [...args]
    let request
    try {
      request = parse(args)
    } catch (error) {
      assert.ok(error instanceof Failure, error.stack)
      assert.equal(error.exitCode, USAGE)
      assert.ok(error.message.endsWith(" (try 'locket --help')"), error.message)
      return
    }
    assert.deepEqual(args, before)
    assertWellFormed(request, args)
  }))

/** Long options without a value: the whole name, the shortest beginning that is nothing else's, and the short one. */
const FLAGS = [
  { name: 'shared', least: 'sh', short: 's', effect: { mode: 'shared' } },
  { name: 'exclusive', least: 'e', short: 'x', effect: { mode: 'exclusive' } },
  { name: 'exclusive', least: 'exc', short: 'e', effect: { mode: 'exclusive' } },
  { name: 'nonblocking', least: 'non', short: 'n', effect: { nonblock: true } },
  { name: 'nb', least: 'nb', effect: { nonblock: true } },
  { name: 'verbose', least: 'verb', effect: { verbosity: 'verbose' } },
  { name: 'fcntl', least: 'f', effect: { protocol: 'fcntl' } },
  { name: 'quiet', least: 'q', effect: { verbosity: 'quiet' } },
]

/** Those with one, with how it is made up: `{ text, effect }`. */
const seconds = fc.oneof(
  fc.nat({ max: 10_000_000 }).map((ms) => ({ text: (ms / 1000).toFixed(3), effect: { timeout: ms } })),
  fc.nat({ max: 10_000 }).map((s) => ({ text: `${s}`, effect: { timeout: s * 1000 } })),
  fc.tuple(fc.nat({ max: 99 }), fc.nat({ max: 6 })).map(([digits, power]) => ({
    text: `+${digits}.e${power}`,
    effect: { timeout: digits * 1000 * 10 ** power },
  })),
)
const code = fc.nat({ max: 255 }).map((n) => ({ text: `${n}`, effect: { conflictExitCode: n } }))

const VALUED = [
  { name: 'timeout', least: 't', short: 'w', value: seconds },
  { name: 'wait', least: 'wa', value: seconds },
  { name: 'conflict-exit-code', least: 'con', short: 'E', value: code },
]

/** The ways to write an option by its long name. */
const spelledOut = ({ name, least }) =>
  fc.integer({ min: least.length, max: name.length }).map((end) => `--${name.slice(0, end)}`)

/** Each: the words, and what they change. */
const longFlag = fc
  .constantFrom(...FLAGS)
  .chain((flag) => spelledOut(flag).map((word) => ({ words: [word], effect: flag.effect })))

const longValued = fc.constantFrom(...VALUED).chain((option) =>
  fc.tuple(spelledOut(option), option.value, fc.boolean()).map(([word, { text, effect }, apart]) => ({
    words: apart ? [word, text] : [`${word}=${text}`],
    effect,
  })),
)

/** Several short ones in one word; the last may have a value. */
const cluster = fc
  .tuple(
    fc.array(fc.constantFrom(...FLAGS.filter(({ short }) => short)), { minLength: 1, maxLength: 4 }),
    fc.option(
      fc
        .constantFrom(...VALUED.filter(({ short }) => short))
        .chain((option) => fc.record({ short: fc.constant(option.short), value: option.value, apart: fc.boolean() })),
    ),
  )
  .map(([flags, valued]) => {
    const letters = `-${flags.map(({ short }) => short).join('')}`
    const effect = Object.assign({}, ...flags.map((flag) => flag.effect), valued?.value.effect)
    if (valued === null) return { words: [letters], effect }
    const { short, value, apart } = valued
    return { words: apart ? [letters + short, value.text] : [letters + short + value.text], effect }
  })

const options = fc.array(fc.oneof(longFlag, longValued, cluster), { maxLength: 6 })

/** FILE, with `--` before it where it could be taken for an option. */
const file = fc.tuple(anyString, fc.boolean()).map(([name, guarded]) => ({
  file: name,
  words: guarded || (name.startsWith('-') && name !== '-') ? ['--', name] : [name],
}))

const startsOption = ([first]) => ['--', '-c', '--command'].includes(first)

const command = fc.oneof(
  fc
    .tuple(fc.array(anyWord, { minLength: 1, maxLength: 5 }), fc.boolean())
    .map(([words, guarded]) => ({ words: guarded || startsOption(words) ? ['--', ...words] : words, command: words })),
  fc.tuple(fc.constantFrom('-c', '--command'), anyString).map((words) => ({ words, line: words[1] })),
)

/** Sums of decimal fractions are not what one writes. */
const rounded = (request) => ({ ...request, timeout: Number(request.timeout.toPrecision(12)) })

test('a command line that is made by the rules means what they say', () =>
  check(options, file, command, (made, { file, words: fileWords }, { words: commandWords, ...rest }) => {
    const args = [...made.flatMap(({ words }) => words), ...fileWords, ...commandWords]
    const expected = { action: 'run', mode: 'exclusive', timeout: Infinity, conflictExitCode: 1 }
    Object.assign(expected, ...made.map(({ effect }) => effect), { file, ...rest })
    if (expected.nonblock) expected.timeout = 0
    assert.deepEqual(rounded(parse(args)), rounded(expected))
  }))

test('--who takes one file, with --json wherever it stands', () => {
  const who = fc.constantFrom('--who', '--wh')
  const json = fc.option(fc.constantFrom('--json', '--j'), { nil: undefined })
  return check(options, who, json, fc.boolean(), anyString, (made, who, json, first, name) => {
    const file = name.startsWith('-') ? `./${name}` : name
    const asked = [who, ...(first && json ? [json] : []), ...made.flatMap(({ words }) => words)]
    const request = parse([...asked, file, ...(first || !json ? [] : [json])])
    assert.deepEqual(
      { action: request.action, file: request.file, json: request.json },
      { action: 'who', file, json: json && true },
    )
  })
})
