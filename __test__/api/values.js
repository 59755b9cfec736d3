'use strict'

// Arguments that nobody has thought of, each with what the documentation says about it: is it good, and if not, by
// which codes may it be refused?

const { fileURLToPath } = require('node:url')

const { fc } = require('../support/properties.js')

const TYPE = 'ERR_INVALID_ARG_TYPE'
const VALUE = 'ERR_INVALID_ARG_VALUE'
const RANGE = 'ERR_OUT_OF_RANGE'

/** Values of every kind. None has code of its own: what that throws is the caller's. */
const anyValue = fc.oneof(
  fc.anything({
    ...{ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true },
    ...{ withNullPrototype: true, withBoxedValues: true, withSparseArray: true, withObjectString: true },
  }),
  fc.constantFrom(
    undefined,
    null,
    NaN,
    Infinity,
    -Infinity,
    -0,
    0,
    2 ** 53,
    2 ** 31,
    2 ** 64,
    Number.MAX_VALUE,
    5e-324,
  ),
  fc.constantFrom(0n, 2n ** 64n, Symbol('value'), Symbol.iterator, new Date(NaN), new Date(0), () => {}, class {}, /x/),
  fc.constantFrom(
    new AbortController(),
    new EventTarget(),
    new Proxy({}, {}),
    new WeakMap(),
    Promise.resolve(),
    globalThis,
  ),
  fc.double(),
  fc.integer(),
  fc.string({ unit: 'binary' }),
)

const { signal } = new AbortController()
const foreignSignal = { aborted: false, addEventListener() {}, removeEventListener() {} }

const BOOLEAN = {
  good: [true, false],
  bad: [null, 0, 1, 'true', {}],
  problem: (value) => (typeof value === 'boolean' ? undefined : TYPE),
}

/** Per option: good values, bad ones that look like them, and how a value is judged: undefined if it is good. */
const OPTIONS = {
  timeout: {
    good: [1000, 0, -0, Infinity, 5e-324, 2 ** 53, 2 ** 31, Number.MAX_VALUE],
    bad: [NaN, -1, -0.001, -5e-324, -Infinity, '5', '', null, 5n, true, {}, [5], Symbol('5'), new Number(5)],
    problem: (value) => (typeof value !== 'number' ? TYPE : value >= 0 ? undefined : RANGE),
  },
  mode: {
    good: ['shared', 'exclusive'],
    bad: ['write', 'Exclusive', 'exclusive ', '', 'toString', null, 1, true, ['shared'], new String('shared')],
    problem: (value) => (value === 'exclusive' || value === 'shared' ? undefined : VALUE),
  },
  signal: {
    good: [signal],
    bad: [
      ...[null, true, 'abort', {}, { aborted: false, addEventListener() {} }, new AbortController(), new EventTarget()],
      ...[
        { ...foreignSignal, aborted: 'no' },
        { ...foreignSignal, aborted: undefined },
      ],
      // What has the methods of a signal, but is none: to ask it would be an ERR_INVALID_THIS.
      ...[Object.create(AbortSignal.prototype), AbortSignal.prototype],
    ],
    problem: (value) => (value === signal ? undefined : TYPE),
  },
  fileMode: {
    // One that lets nobody read the file would make the next test fail, unless that is root's.
    good: [0o600, 0o666, 0o7777, 0o644],
    bad: [NaN, -1, 0.5, 0o10000, 2 ** 32, Infinity, '644', null, 6n, true],
    problem(value) {
      if (typeof value !== 'number') return TYPE
      return Number.isInteger(value) && value >= 0 && value <= 0o7777 ? undefined : RANGE
    },
  },
  allowDirectory: BOOLEAN,
  removeOnRelease: BOOLEAN,
}

/** Options objects that are mostly good: some of the `known`, seldom something else. */
function someOptions(known) {
  const some = (record) => fc.record(record, { requiredKeys: [] })
  const goodOf = (name) => fc.constantFrom(...OPTIONS[name].good)
  const good = some(Object.fromEntries(known.map((name) => [name, goodOf(name)])))
  const any = some(Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, fc.oneof(anyValue, goodOf(name))])))
  const oneBad = fc
    .constantFrom(...known)
    .chain((name) =>
      fc
        .tuple(good, fc.oneof(fc.constantFrom(...OPTIONS[name].bad), anyValue))
        .map(([rest, bad]) => ({ ...rest, [name]: bad })),
    )
  return fc.oneof(
    { weight: 4, arbitrary: good },
    { weight: 3, arbitrary: oneBad },
    { weight: 1, arbitrary: any },
    { weight: 1, arbitrary: good.map(Object.create) },
    { weight: 1, arbitrary: fc.dictionary(fc.string({ unit: 'binary' }), anyValue) },
    { weight: 2, arbitrary: anyValue },
  )
}

/** The codes by which such options may be refused; none if they are good. */
function problemsOfOptions(options, known) {
  if (options === undefined) return []
  // Of a wait it is the timeout; a handle has more options, and a try has none.
  const isWait = known.includes('timeout') && !known.includes('fileMode')
  if (typeof options === 'number' && isWait) return options >= 0 ? [] : [RANGE]
  if (options === null || typeof options !== 'object' || Array.isArray(options)) return [TYPE]
  const problems = []
  for (const name in options) {
    const value = options[name]
    if (value === undefined) continue
    problems.push(known.includes(name) ? OPTIONS[name].problem(value) : VALUE)
  }
  return problems.filter((problem) => problem !== undefined)
}

/** The codes by which such a path may be refused. */
function problemsOfPath(path) {
  if (path instanceof Uint8Array) return path.length === 0 || path.includes(0) ? [VALUE] : []
  let name = path
  if (path instanceof URL) {
    try {
      name = fileURLToPath(path)
    } catch (error) {
      // Those of fs for a URL that names no file. Of escapes that are not UTF-8 it is a URIError, without a code.
      return [error.code ?? error.name]
    }
  }
  if (typeof name !== 'string') return [TYPE]
  return name === '' || name.includes('\0') ? [VALUE] : []
}

/** Names below a folder: never out of it, whatever they contain. */
const anyName = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }),
  fc.string({
    unit: fc.constantFrom('a', '/', '.', ' ', '\\', '\n', '%', '\u202e', 'ü', '\ud800', '\0'),
    minLength: 1,
    maxLength: 40,
  }),
  fc
    .tuple(fc.constantFrom('a', '\u{10ffff}', './', 'a/'), fc.constantFrom(200, 255, 256, 4000, 5000, 70_000))
    .map(([unit, times]) => unit.repeat(times)),
)

const contained = (name) =>
  `./${name}`
    .split('/')
    .filter((segment) => segment !== '..')
    .join('/')

const anyBytes = fc.uint8Array({ minLength: 1, maxLength: 40 })

/** Two dots between slashes are replaced by other bytes. */
const containedBytes = (bytes) =>
  Buffer.from(
    Buffer.from(bytes)
      .toString('latin1')
      .split('/')
      .map((segment) => (segment === '..' ? 'xx' : segment))
      .join('/'),
    'latin1',
  )

/** A function that makes a path in a folder. If a test fails, it is shown as `kind` and what it is made of. */
const maker = (kind, arbitrary, make) =>
  arbitrary.map((value) =>
    Object.assign((folder) => make(value, `${folder}/`), {
      [fc.toStringMethod]: () => `${kind} ${fc.stringify(value)}`,
    }),
  )

const joined = (folder, bytes) => Buffer.concat([Buffer.from(folder), containedBytes(bytes)])

function urlOf(folder, bytes) {
  const escapes = [...containedBytes(bytes)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`)
  return new URL(`file://${folder}${escapes.join('')}`)
}

/** Functions that make a path in a folder, or in the current one, in each of the ways in which paths are given. */
const somePath = fc.oneof(
  maker('absolute', anyName, (name, folder) => folder + contained(name)),
  maker('relative', anyName, contained),
  maker('Buffer', anyBytes, (bytes, folder) => joined(folder, bytes)),
  maker('relative Buffer', anyBytes, (bytes) => joined('./', bytes)),
  maker('Uint8Array', anyBytes, (bytes, folder) => new Uint8Array(joined(folder, bytes))),
  maker('URL', anyBytes, (bytes, folder) => urlOf(folder, bytes)),
)

module.exports = { anyValue, OPTIONS, problemsOfOptions, problemsOfPath, someOptions, somePath }
