'use strict'

// The checker of `npm run stress`, by logs that are made up: each defect that a storm could show must be found in them, and
// nothing in logs without one.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { ENOUGH_SHARED, check } = require('../scripts/stress/checker.js')
const { ENDLESS, FORMS, Journal, KINDS, SIZE, logName, logsIn } = require('../scripts/stress/journal.js')
const { temporaryFolder } = require('./support.js')

/** A log as `chunks`: each event is `[kind, time, {…}]`. */
function log(process, events, { program = 'node', thread = 0 } = {}) {
  const bytes = Buffer.alloc(events.length * SIZE)
  for (const [i, [kind, time, fields = {}]] of events.entries()) {
    const { attempt = 0, value = 0, file = 0, shared = false, form = 0, timeout = ENDLESS } = fields
    const at = i * SIZE
    bytes.writeDoubleLE(time, at)
    bytes.writeUInt32LE(attempt, at + 8)
    bytes.writeUInt32LE(value, at + 12)
    bytes.set([KINDS[kind], file, Number(shared), form], at + 16)
    bytes.writeUInt32LE(timeout, at + 20)
  }
  return { program, process, thread, chunks: [bytes] }
}

/** What the storm has logged. */
const storm = (...events) => log(0, events, { program: 'storm' })

/** A log of a thread that has ended by itself. */
const closed = (process, events, name) =>
  log(process, [['OPENED', 0], ...events, ['CLOSED', events.at(-1)?.[1] ?? 0]], name)

/** Attempt `attempt` gets the lock at `begin`, and has it until `end`. */
const hold = (attempt, begin, end, fields) => [
  ['REQUESTED', begin - 1, { attempt, ...fields }],
  ['GRANTED', begin, { attempt, ...fields }],
  ['RELEASED', end, { attempt, ...fields }],
]
const exclusive = (attempt, begin, end, value, file) => hold(attempt, begin, end, { value, file })
const shared = (attempt, begin, end) => hold(attempt, begin, end, { shared: true })
const rejected = (kind, attempt, from, to, fields) => [
  ['REQUESTED', from, { attempt, ...fields }],
  [kind, to, { attempt, ...fields }],
]

/** How many violations of which kind are found. The counters are what `counters` says. */
function found(logs, ...counters) {
  const { violations } = check(logs, { counters })
  return Object.fromEntries(Object.entries(violations).map(([kind, { count }]) => [kind, count]))
}

test('a storm without a defect has none, and is counted', () => {
  const report = check(
    [
      storm(['STARTED', 0, { value: 1 }], ['STARTED', 0, { value: 2 }], ['CLOSED', 99]),
      closed(1, [
        ...exclusive(0, 10, 20, 1),
        ...rejected('TIMED_OUT', 1, 21, 22, { timeout: 0 }),
        ...shared(2, 60, 70),
      ]),
      closed(2, [...exclusive(0, 30, 40, 2), ...rejected('ABORTED', 1, 41, 42), ...rejected('REFUSED', 2, 43, 44)]),
      closed(3, [...shared(0, 65, 80), ...exclusive(1, 90, 95, 1, 1)], { program: 'flock' }),
      closed(4, hold(0, 1000, 1001, { value: 3, form: FORMS.indexOf('acquireSync') })),
    ],
    { counters: [3, 1] },
  )
  assert.deepEqual(report.violations, {})
  assert.equal(report.violationCount, 0)
  assert.deepEqual(report.acquires, {
    node: { exclusive: 3, shared: 1, sync: 1 },
    flock: { exclusive: 1, shared: 1, sync: 0 },
  })
  assert.deepEqual(report.rejections, { timedOut: 1, aborted: 1, refused: 1 })
  assert.deepEqual(report.shares, { any: 1, betweenProcesses: 1 })
  assert.deepEqual([report.kills, report.terminations, report.requests, report.events], [0, 0, 9, 35])
})

test('the longest wait is found, and whose it was', () => {
  const waits = [
    ['REQUESTED', 5, { attempt: 0 }],
    ['GRANTED', 50, { value: 1 }],
    ['RELEASED', 51],
  ]
  const { longestWait } = check([closed(7, waits), closed(8, rejected('ABORTED', 0, 1, 40))], { counters: [1] })
  assert.deepEqual(longestWait, { ns: 45, who: 'exclusive attempt 0 of node 7.0 on file 0' })
})

test('two exclusive holders at once are found, in whatever order their logs come', () => {
  for (const [begin, end] of [
    [19, 30],
    [12, 18],
    [5, 30],
    [10, 20],
    [10, 15],
    [15, 20],
  ]) {
    const logs = [closed(1, exclusive(0, 10, 20, 1)), closed(2, exclusive(0, begin, end, 2))]
    assert.equal(found(logs, 2).overlap, 1, `${begin} to ${end}`)
    assert.equal(found(logs.reverse(), 2).overlap, 1, `${begin} to ${end}`)
  }
})

test('an overlap is found across holders in between', () => {
  const logs = [
    closed(1, exclusive(0, 10, 100, 1)),
    closed(2, [...exclusive(0, 20, 30, 2), ...exclusive(1, 40, 50, 3)]),
  ]
  assert.deepEqual(found(logs, 3), { overlap: 2 })
})

test('holds that touch do not overlap', () => {
  const logs = [closed(1, exclusive(0, 10, 20, 1)), closed(2, exclusive(0, 20, 30, 2)), closed(3, shared(0, 30, 40))]
  logs.push(closed(4, exclusive(0, 40, 50, 3)))
  assert.deepEqual(found(logs, 3), {})
  assert.deepEqual(found(logs.reverse(), 3), {})
})

test('a hold that ends in the instant in which it begins touches one, and overlaps one around it', () => {
  const instant = closed(1, exclusive(0, 20, 20, 2))
  assert.deepEqual(found([instant, closed(2, exclusive(0, 10, 20, 1))], 2), {})
  assert.deepEqual(found([closed(2, exclusive(0, 20, 30, 3)), closed(3, exclusive(0, 1, 2, 1)), instant], 3), {})
  assert.deepEqual(found([closed(1, shared(0, 20, 30)), closed(2, exclusive(0, 20, 20, 1))], 1), {})
  assert.deepEqual(found([instant, closed(2, exclusive(0, 10, 21, 1))], 2), { overlap: 1 })
})

test('an exclusive holder beside one that shares is found, whoever came first', () => {
  for (const [begin, end] of [
    [19, 30],
    [12, 18],
    [5, 11],
    [5, 30],
  ]) {
    const logs = [closed(1, exclusive(0, begin, end, 1)), closed(2, shared(0, 10, 20))]
    assert.deepEqual(found(logs, 1), { overlap: 1 }, `${begin} to ${end}`)
  }
  // The one that came last has gone, another one is still there.
  const readers = [closed(1, shared(0, 10, 50)), closed(2, shared(0, 20, 30))]
  assert.deepEqual(found([...readers, closed(3, exclusive(0, 40, 45, 1))], 1), { overlap: 1 })
})

test('holds of different files have nothing to do with each other', () => {
  assert.deepEqual(found([closed(1, exclusive(0, 10, 20, 1, 0)), closed(2, exclusive(0, 15, 25, 1, 1))], 1, 1), {})
})

test('those that share are counted when they are there together, also between processes', () => {
  const sharesOf = (...logs) => check(logs, { counters: [0] }).shares
  const one = (process, thread, ...holds) => closed(process, holds.flat(), { thread })
  assert.deepEqual(sharesOf(one(1, 0, shared(0, 10, 20)), one(2, 0, shared(0, 20, 30))), {
    any: 0,
    betweenProcesses: 0,
  })
  assert.deepEqual(sharesOf(one(1, 0, shared(0, 10, 20)), one(1, 1, shared(0, 15, 30))), {
    any: 1,
    betweenProcesses: 0,
  })
  assert.deepEqual(sharesOf(one(1, 0, shared(0, 10, 20)), one(2, 0, shared(0, 15, 30))), {
    any: 1,
    betweenProcesses: 1,
  })
  // The one that ends last is of the same process, another one is not.
  const three = [one(1, 0, shared(0, 10, 90)), one(2, 0, shared(0, 20, 50)), one(1, 1, shared(0, 30, 40))]
  assert.deepEqual(sharesOf(...three), { any: 2, betweenProcesses: 2 })
  const late = [one(1, 0, shared(0, 10, 90)), one(2, 0, shared(0, 20, 50)), one(1, 1, shared(0, 60, 70))]
  assert.deepEqual(sharesOf(...late), { any: 2, betweenProcesses: 1 })
  const threads = [shared(0, 20, 60), shared(0, 30, 70), shared(0, 55, 56)].map((hold, i) => one(1, i, hold))
  assert.deepEqual(sharesOf(one(2, 0, shared(0, 10, 50)), ...threads), { any: 3, betweenProcesses: 2 })
})

test('many shared holds that are never there together are found: they do not share', () => {
  const turns = (count, length) =>
    Array.from({ length: count }, (_, i) => closed(i + 1, shared(0, 10 * i + 10, 10 * i + 10 + length)))
  assert.deepEqual(found(turns(ENOUGH_SHARED, 10), 0), { unshared: 1 })
  assert.deepEqual(found(turns(ENOUGH_SHARED, 11), 0), {})
  assert.deepEqual(found(turns(ENOUGH_SHARED - 1, 10), 0), {})
})

test('a wait without an end is found, if nothing has happened to its thread', () => {
  const waits = [
    ['OPENED', 0],
    ['REQUESTED', 5],
  ]
  assert.deepEqual(found([log(1, [...waits, ['CLOSED', 9]])], 0), { unanswered: 1 })
  assert.deepEqual(found([log(1, waits), storm(['KILLED', 6, { value: 1 }])], 0), {})
  assert.deepEqual(found([log(1, waits), storm(['KILLED', 6, { value: 2 }])], 0), { crashed: 1, unanswered: 1 })
  const main = (terminated) => closed(1, [['TERMINATED', 7, { value: terminated }]])
  assert.deepEqual(found([main(3), log(1, waits, { thread: 3 })], 0), {})
  assert.deepEqual(found([main(4), log(1, waits, { thread: 3 })], 0), { crashed: 1, unanswered: 1 })
  assert.deepEqual(found([main(3), log(1, waits, { thread: 4 })], 0), { crashed: 1, unanswered: 1 })
  assert.deepEqual(found([main(3), log(2, waits, { thread: 3 })], 0), { crashed: 1, unanswered: 1 })
})

test('waits that have ended by death are counted, and those of threads that had ended before are still owed', () => {
  const fate = storm(['KILLED', 20, { value: 1 }])
  const waits = [
    ['REQUESTED', 5],
    ['REQUESTED', 6, { attempt: 1 }],
  ]
  assert.deepEqual(check([fate, log(1, [['OPENED', 0], ...waits])], { counters: [0] }).endedByDeath, {
    waits: 2,
    holds: 0,
  })
  assert.deepEqual(found([fate, closed(1, waits)], 0), { unanswered: 2 })
})

test('a hold that is never released is found, if nothing has happened to its thread', () => {
  const events = exclusive(0, 10, 20, 1).slice(0, 2)
  assert.deepEqual(found([closed(1, events)], 1), { unreleased: 1 })
  assert.deepEqual(found([storm(['KILLED', 6, { value: 1 }]), log(1, events)], 1), {})
})

test('a killed holder has held the lock until the last thing that it told of, and no longer', () => {
  const fate = storm(['KILLED', 16, { value: 1 }])
  const holder = log(1, [...exclusive(0, 10, 99, 1).slice(0, 2), ...rejected('REFUSED', 1, 12, 15)])
  assert.deepEqual(found([fate, holder, closed(2, exclusive(0, 15, 20, 2))], 2), {})
  assert.deepEqual(found([fate, holder, closed(2, exclusive(0, 14, 20, 2))], 2), { overlap: 1 })
  assert.equal(check([fate, holder], { counters: [1] }).endedByDeath.holds, 1)
})

test('a grant after a rejection is found', () => {
  for (const kind of ['TIMED_OUT', 'ABORTED', 'REFUSED']) {
    const events = [...rejected(kind, 0, 5, 6, { timeout: 0 }), ['GRANTED', 7, { value: 1 }]]
    assert.deepEqual(found([closed(1, events)], 0), { late: 1 }, kind)
  }
})

test('a wait that has two ends is found', () => {
  const granted = exclusive(0, 10, 20, 1)
  assert.deepEqual(found([closed(1, [...granted, ['GRANTED', 21, { value: 2 }]])], 1), { twice: 1 })
  assert.deepEqual(found([closed(1, [granted[0], granted[1], granted[1], granted[2]])], 1), { twice: 1 })
  assert.deepEqual(found([closed(1, [...granted, ['ABORTED', 21]])], 1), { twice: 1 })
  assert.deepEqual(found([closed(1, [granted[0], granted[1], ['ABORTED', 11], granted[2]])], 1), { twice: 1 })
  const aborted = rejected('ABORTED', 0, 5, 6)
  assert.deepEqual(found([closed(1, [...aborted, ['TIMED_OUT', 7]])], 0), { twice: 1 })
  assert.deepEqual(found([closed(1, [['GRANTED', 7, { value: 1 }]])], 0), { twice: 1 })
})

test('a timeout before its time is found', () => {
  const timedOut = (timeout, after) => found([closed(1, rejected('TIMED_OUT', 0, 0, after, { timeout }))], 0)
  assert.deepEqual(timedOut(10, 10e6), {})
  assert.deepEqual(timedOut(10, 8e6), { early: 1 })
  assert.deepEqual(timedOut(ENDLESS, 1e9), { early: 1 })
  assert.deepEqual(found([closed(1, rejected('ABORTED', 0, 0, 1, { timeout: 10 }))], 0), {})
})

test('a counter that has lost a number, or has one too many, is found', () => {
  const counts = (...values) => [
    closed(
      1,
      values.flatMap((value, i) => exclusive(i, 10 * i + 1, 10 * i + 2, value)),
    ),
  ]
  assert.deepEqual(found(counts(1, 2, 3), 3), {})
  assert.deepEqual(found(counts(1, 2, 2), 2), { counter: 1 })
  assert.deepEqual(found(counts(1, 2, 4), 4), { counter: 1 })
  assert.deepEqual(found(counts(2, 3), 3), { counter: 1 })
  assert.deepEqual(found(counts(1, 2, 3), 2), { counter: 1 })
  assert.deepEqual(found(counts(1, 2, 3), 4), { counter: 1 })
  assert.deepEqual(found([], 1), { counter: 1 })
})

test('a killed holder may have counted, or not, and nobody else', () => {
  const fate = storm(['KILLED', 16, { value: 1 }])
  const killed = log(1, [...exclusive(0, 1, 2, 1), ...exclusive(1, 10, 99, 2).slice(0, 2)])
  const after = (value) => [fate, killed, closed(2, exclusive(0, 20, 30, value))]
  assert.deepEqual(found([fate, killed], 1), {})
  assert.deepEqual(found([fate, killed], 2), {})
  assert.deepEqual(found([fate, killed], 0), { counter: 1 })
  assert.deepEqual(found([fate, killed], 3), { counter: 1 })
  assert.deepEqual(found(after(2), 2), {})
  assert.deepEqual(found(after(3), 3), {})
  assert.deepEqual(found(after(2), 3), { counter: 1 })
  assert.deepEqual(found(after(1), 1), { counter: 1 })
  assert.deepEqual(found(after(4), 4), { counter: 1 })
})

test('an exclusive holder that does not count is found', () => {
  const { malformed } = found([closed(1, exclusive(0, 10, 20, 0))], 0)
  assert.equal(malformed, 1)
})

test('a log may break off anywhere if its process was killed: what is whole counts', () => {
  const fate = storm(['KILLED', 90, { value: 1 }])
  const whole = log(1, [
    ['OPENED', 0],
    ...exclusive(0, 10, 20, 1),
    ...shared(1, 30, 40),
    ['REQUESTED', 50, { attempt: 2 }],
  ])
  const [bytes] = whole.chunks
  for (let length = 0; length <= bytes.length; length++) {
    const torn = { ...whole, chunks: [bytes.subarray(0, length)] }
    // By its fourth record it has counted, from its third on it may have.
    const counter = length >= 3 * SIZE ? 1 : 0
    const report = check([fate, torn], { counters: [counter] })
    assert.deepEqual(report.violations, {}, `${length} bytes`)
    assert.equal(report.events, 1 + Math.floor(length / SIZE))
  }
})

test('a log that breaks off is found if nobody has killed its process', () => {
  const events = [['OPENED', 0], ...exclusive(0, 10, 20, 1)]
  assert.deepEqual(found([log(1, events)], 1), { crashed: 1 })
  const [bytes] = closed(1, exclusive(0, 10, 20, 1)).chunks
  const torn = { program: 'node', process: 1, thread: 0, chunks: [bytes.subarray(0, -1)] }
  assert.deepEqual(found([torn], 1), { crashed: 1 })
})

test('logs in several pieces are read as one', () => {
  const whole = closed(1, exclusive(0, 10, 20, 1))
  const [bytes] = whole.chunks
  const pieces = [bytes.subarray(0, SIZE), bytes.subarray(SIZE, 3 * SIZE), bytes.subarray(3 * SIZE)]
  assert.deepEqual(found([{ ...whole, chunks: pieces }], 1), {})
})

test('a process that hangs, and the waits in it, are found', () => {
  const logs = [
    storm(['HUNG', 9, { value: 1 }]),
    log(1, [
      ['OPENED', 0],
      ['REQUESTED', 5],
    ]),
  ]
  assert.deepEqual(found(logs, 0), { hung: 1, unanswered: 1 })
})

test('a process that crashes is found, and one that leaves no log', () => {
  assert.deepEqual(
    found(
      [
        storm(['CRASHED', 9, { value: 1 }]),
        log(1, [
          ['OPENED', 0],
          ['REQUESTED', 5],
        ]),
      ],
      0,
    ),
    { crashed: 1 },
  )
  assert.deepEqual(found([storm(['STARTED', 1, { value: 1 }])], 0), { crashed: 1 })
  assert.deepEqual(found([storm(['STARTED', 1, { value: 1 }], ['KILLED', 2, { value: 1 }])], 0), {})
})

test('what a thread says to have failed, and what is left over, is found', () => {
  assert.deepEqual(
    found(
      [
        closed(1, [
          ['REQUESTED', 1],
          ['FAILED', 2],
          ['ABORTED', 3],
        ]),
      ],
      0,
    ),
    { failed: 1 },
  )
  assert.deepEqual(found([closed(1, [['LEFT_OVER', 1, { value: 2 }]])], 0), { 'left over': 1 })
  assert.deepEqual(found([storm(['STILL_LOCKED', 1])], 0), { 'left over': 1 })
})

test('events that cannot be are found', () => {
  const malformed = (...events) => found([log(1, [...events, ['CLOSED', 99]])], 0)
  assert.deepEqual(malformed(['RELEASED', 1]), { malformed: 1 })
  assert.deepEqual(malformed(['OPENED', 5], ...rejected('ABORTED', 0, 4, 6)), { malformed: 1 })
  assert.deepEqual(malformed(['OPENED', Number.NaN]), { malformed: 2 })
  assert.deepEqual(malformed(['CLOSED', 5], ['OPENED', 6]), { malformed: 2 })
  assert.deepEqual(malformed(...rejected('ABORTED', 0, 1, 2), ['REQUESTED', 3]), { malformed: 1 })
  assert.deepEqual(malformed(['REQUESTED', 1, { attempt: 4_000_000_000 }]), { malformed: 1 })
  assert.deepEqual(
    found(
      [
        closed(
          1,
          shared(0, 1, 2).map(([kind, at, e]) => [kind, at, { ...e, file: 9 }]),
        ),
      ],
      0,
    ),
    { malformed: 1 },
  )
  const [bytes] = log(1, [
    ['OPENED', 0],
    ['CLOSED', 1],
  ]).chunks
  bytes[16] = 99
  assert.deepEqual(found([{ program: 'node', process: 1, thread: 0, chunks: [bytes] }], 0), { malformed: 1 })
})

test('in thousands of holds one that overlaps is found', () => {
  const COUNT = 5000
  const turns = (process, delay) =>
    Array.from({ length: COUNT }, (_, i) =>
      exclusive(i, 20 * i + 10 * process + delay(i), 20 * i + 10 * process + 10, 2 * i + process),
    )
  const logs = (delay) =>
    [1, 2].map((process) => closed(process, turns(process, process === 2 ? delay : () => 2).flat()))
  assert.deepEqual(
    found(
      logs(() => 2),
      2 * COUNT,
    ),
    {},
  )
  assert.deepEqual(
    found(
      logs((i) => (i === 4321 ? -1 : 2)),
      2 * COUNT,
    ),
    { overlap: 1 },
  )
})

test('after thousands of attempts it is still known what has become of the first ones', () => {
  const many = Array.from({ length: 5000 }, (_, i) => rejected('ABORTED', i + 2, 2, 2)).flat()
  const two = [...rejected('ABORTED', 0, 1, 1), ['REQUESTED', 1, { attempt: 1 }]]
  const granted = ['GRANTED', 3, { attempt: 1, value: 1 }]
  const released = ['RELEASED', 4, { attempt: 1 }]
  assert.deepEqual(found([closed(1, [...two, ...many, granted, released])], 1), {})
  assert.deepEqual(found([closed(1, [...two, ...many, granted, released, ['GRANTED', 5]])], 1), { late: 1 })
})

test('what is told of violations is who, when and where, and not a thousand times the same', () => {
  const logs = Array.from({ length: 30 }, (_, i) => closed(i + 1, exclusive(0, 10 + i, 100, i + 1)))
  const { violations, violationCount } = check(logs, { counters: [30] })
  assert.equal(violationCount, 29)
  assert.equal(violations.overlap.count, 29)
  assert.equal(violations.overlap.told.length, 5)
  assert.equal(
    violations.overlap.told[0],
    'exclusive attempt 0 of node 1.0 on file 0, held from 0.000000010 to 0.000000100 s; ' +
      'and exclusive attempt 0 of node 2.0 on file 0, held from 0.000000011 to 0.000000100 s',
  )
})

test('what a journal writes is what the checker reads', (t) => {
  const folder = temporaryFolder(t)
  const name = { process: 3, thread: 2, program: 'node' }
  const journal = new Journal(path.join(folder, logName(name)), process.hrtime.bigint())
  const attempt = { attempt: 0, file: 1, form: FORMS.indexOf('acquireSync'), timeout: ENDLESS }
  journal.write(KINDS.REQUESTED, attempt)
  journal.write(KINDS.GRANTED, { ...attempt, value: 1 })
  journal.write(KINDS.RELEASED, attempt)
  journal.write(KINDS.CLOSED, {})
  fs.writeFileSync(path.join(folder, '1.lock'), 'no log')

  const logs = logsIn(folder)
  assert.deepEqual(
    logs.map(({ chunks, ...rest }) => rest),
    [name],
  )
  const report = check(logs, { counters: [0, 1] })
  assert.deepEqual(report.violations, {})
  assert.deepEqual(report.acquires, { node: { exclusive: 1, shared: 0, sync: 1 } })
  assert.equal(report.events, 5)
})
