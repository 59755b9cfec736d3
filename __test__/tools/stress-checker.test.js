'use strict'

// The checker of `npm run stress`, with logs that are made up: it finds every defect that a storm can show, and nothing in
// logs without one.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { ENOUGH_SHARED, check } = require('../../scripts/stress/checker.js')
const { Journal, logsIn } = require('../../scripts/stress/journal.js')
const { temporaryFolder } = require('../support/folders.js')

/** A log of `events`, each `[time, event, details]`. */
const log = (process, events, { program = 'node', thread = 0 } = {}) => ({
  program,
  process,
  thread,
  events: events.map(([time, event, details]) => ({ time, event, ...details })),
})

/** What the storm has logged. */
const storm = (...events) => log(0, events, { program: 'storm' })

/** A log of a thread that has ended by itself. */
const closed = (process, events, name) => log(process, [...events, [events.at(-1)[0], 'closed']], name)

/** Attempt `attempt` holds the lock from `begin` to `end`. */
const hold = (attempt, begin, end, { value, ...request }) => [
  [begin - 1, 'requested', { attempt, file: 0, mode: 'exclusive', ...request }],
  [begin, 'held', { attempt, value }],
  [end, 'releasing', { attempt }],
]
const exclusive = (attempt, begin, end, value, file = 0) => hold(attempt, begin, end, { value, file })
const shared = (attempt, begin, end) => hold(attempt, begin, end, { mode: 'shared' })
const rejected = (reason, attempt, from, to, timeout) => [
  [from, 'requested', { attempt, file: 0, mode: 'exclusive', timeout }],
  [to, 'rejected', { attempt, reason }],
]

/** How many violations of which kind are found in `logs`, whatever their order. */
function found(logs, ...counters) {
  const count = ({ violations }) =>
    Object.fromEntries(Object.entries(violations).map(([kind, each]) => [kind, each.count]))
  const result = count(check(logs, counters))
  assert.deepEqual(count(check(logs.toReversed(), counters)), result, 'in reverse order')
  return result
}

test('a storm without a defect has no violation, and is counted', () => {
  const report = check(
    [
      storm([0, 'starts', { process: 1 }], [0, 'starts', { process: 2 }], [99, 'closed']),
      closed(1, [...exclusive(0, 10, 20, 1), ...rejected('timeout', 1, 21, 22, 0), ...shared(2, 60, 70)]),
      closed(2, [...exclusive(0, 30, 40, 2), ...rejected('abort', 1, 41, 42), ...rejected('busy', 2, 43, 44)]),
      closed(3, [...shared(0, 65, 80), ...exclusive(1, 90, 95, 1, 1)], { program: 'flock' }),
      closed(4, hold(0, 1000, 1001, { value: 3, sync: true })),
      closed(
        5,
        [[1002, 'requested', { attempt: 7, file: 0, mode: 'shared' }], ...rejected('abort', 8, 1003, 1004)].concat([
          [1902, 'rejected', { attempt: 7, reason: 'abort' }],
        ]),
      ),
    ],
    [3, 1],
  )
  assert.deepEqual(report.violations, {})
  assert.deepEqual(report.acquires, {
    node: { exclusive: 3, shared: 1, sync: 1 },
    flock: { exclusive: 1, shared: 1, sync: 0 },
  })
  assert.deepEqual(report.rejections, { timeout: 1, abort: 3, busy: 1 })
  assert.deepEqual(report.shares, { any: 1, betweenProcesses: 1 })
  assert.deepEqual(report.longestWait, { ns: 900, who: 'shared attempt 7 of node 5.0 on file 0' })
  assert.deepEqual([report.kills, report.terminations, report.requests, report.events], [0, 0, 11, 36])
})

test('two exclusive holders at once are found', () => {
  const first = closed(1, exclusive(0, 10, 20, 1))
  for (const [begin, end] of [
    [19, 30],
    [12, 18],
    [5, 30],
    [15, 20],
  ]) {
    assert.equal(found([first, closed(2, exclusive(0, begin, end, 2))], 2).overlap, 1, `${begin} to ${end}`)
  }
  // Across holders in between.
  const others = closed(2, [...exclusive(0, 20, 30, 2), ...exclusive(1, 40, 50, 3)])
  assert.equal(found([closed(1, exclusive(0, 10, 100, 1)), others], 3).overlap, 2)
})

test('an exclusive holder beside a shared one is found, whichever came first', () => {
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

test('holds that touch, and holds of different files, do not overlap', () => {
  const touching = [
    closed(1, exclusive(0, 10, 20, 1)),
    closed(2, exclusive(0, 20, 30, 2)),
    closed(3, shared(0, 30, 40)),
  ]
  assert.deepEqual(found([...touching, closed(4, exclusive(0, 40, 50, 3))], 3), {})
  assert.deepEqual(found([closed(1, exclusive(0, 10, 20, 1, 0)), closed(2, exclusive(0, 15, 25, 1, 1))], 1, 1), {})
})

test('shared holds that are there together are counted, also between processes', () => {
  const sharesOf = (...holds) =>
    Object.values(
      check(
        holds.map(([process, thread, hold]) => closed(process, hold, { thread })),
        [0],
      ).shares,
    )
  assert.deepEqual(sharesOf([1, 0, shared(0, 10, 20)], [2, 0, shared(0, 20, 30)]), [0, 0])
  assert.deepEqual(sharesOf([1, 0, shared(0, 10, 20)], [1, 1, shared(0, 15, 30)]), [1, 0])
  assert.deepEqual(sharesOf([1, 0, shared(0, 10, 20)], [2, 0, shared(0, 15, 30)]), [1, 1])
  const three = [1, 1, shared(0, 60, 70)]
  assert.deepEqual(sharesOf([1, 0, shared(0, 10, 90)], [2, 0, shared(0, 20, 50)], three), [2, 1])
})

test('many shared holds that are never there together are found', () => {
  const turns = (count, length) =>
    Array.from({ length: count }, (_, i) => closed(i + 1, shared(0, 10 * i + 10, 10 * i + 10 + length)))
  assert.deepEqual(found(turns(ENOUGH_SHARED, 10), 0), { unshared: 1 })
  assert.deepEqual(found(turns(ENOUGH_SHARED, 11), 0), {})
  assert.deepEqual(found(turns(ENOUGH_SHARED - 1, 10), 0), {})
})

test('a wait or a hold without an end is found, unless its thread was killed or terminated', () => {
  const waits = [[5, 'requested', { attempt: 0, file: 0, mode: 'exclusive' }]]
  const holds = exclusive(0, 10, 20, 1).slice(0, 2)
  assert.deepEqual(found([closed(1, waits)], 0), { unanswered: 1 })
  assert.deepEqual(found([closed(1, holds)], 1), { unreleased: 1 })
  for (const [events, what, counter] of [
    [waits, 'unanswered', 0],
    [holds, 'unreleased', 1],
  ]) {
    const main = (thread) => closed(1, [[7, 'terminates', { thread }]])
    assert.deepEqual(found([log(1, events), storm([6, 'kills', { process: 1 }])], counter), {})
    assert.deepEqual(found([log(1, events), storm([6, 'kills', { process: 2 }])], counter), { crashed: 1, [what]: 1 })
    assert.deepEqual(found([main(3), log(1, events, { thread: 3 })], counter), {})
    assert.deepEqual(found([main(4), log(1, events, { thread: 3 })], counter), { crashed: 1, [what]: 1 })
    assert.deepEqual(found([main(3), log(2, events, { thread: 3 })], counter), { crashed: 1, [what]: 1 })
    // It had ended by itself before.
    assert.deepEqual(found([closed(1, events), storm([20, 'kills', { process: 1 }])], counter), { [what]: 1 })
  }
})

test('a killed holder has held the lock until the last event that it logged, and no longer', () => {
  const kill = storm([16, 'kills', { process: 1 }])
  const holder = log(1, [...exclusive(0, 10, 99, 1).slice(0, 2), ...rejected('busy', 1, 12, 15)])
  assert.deepEqual(found([kill, holder, closed(2, exclusive(0, 16, 20, 2))], 2), {})
  assert.deepEqual(found([kill, holder, closed(2, exclusive(0, 14, 20, 2))], 2), { overlap: 1 })
  assert.deepEqual(check([kill, holder], [1]).endedByDeath, { waits: 0, holds: 1 })
})

test('events that do not follow from those before are found', () => {
  const granted = exclusive(0, 10, 20, 1)
  const again = [21, 'held', { attempt: 0, value: 2 }]
  const sequences = {
    'a grant after a rejection': [[...rejected('timeout', 0, 5, 6, 0), again], 0],
    'a grant after the release': [[...granted, again], 1],
    'a second grant': [[granted[0], granted[1], granted[1], granted[2]], 1],
    'a rejection after a grant': [
      [granted[0], granted[1], [11, 'rejected', { attempt: 0, reason: 'abort' }], granted[2]],
      1,
    ],
    'a second rejection': [[...rejected('abort', 0, 5, 6), [7, 'rejected', { attempt: 0, reason: 'abort' }]], 0],
    'a grant without a request': [[again], 0],
    'a release without a grant': [[granted[0], granted[2], [21, 'rejected', { attempt: 0, reason: 'abort' }]], 0],
    'a second request': [[granted[0], ...granted], 1],
  }
  for (const [what, [events, counter]] of Object.entries(sequences)) {
    assert.deepEqual(found([closed(1, events)], counter), { unexpected: 1 }, what)
  }
})

test('a timeout before its time is found', () => {
  const timedOut = (timeout, after) => found([closed(1, rejected('timeout', 0, 0, after, timeout))], 0)
  assert.deepEqual(timedOut(10, 10e6), {})
  assert.deepEqual(timedOut(10, 8e6), { early: 1 })
  assert.deepEqual(timedOut(undefined, 1e9), { early: 1 })
  assert.deepEqual(found([closed(1, rejected('abort', 0, 0, 1, 10))], 0), {})
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
  assert.deepEqual(found(counts(undefined), 1), { counter: 2 })
  assert.deepEqual(found([], 1), { counter: 1 })
})

test('a killed holder may have counted, or not, and nobody else', () => {
  const kill = storm([16, 'kills', { process: 1 }])
  const killed = log(1, [...exclusive(0, 1, 2, 1), ...exclusive(1, 10, 99, 2).slice(0, 2)])
  const after = (value) => [kill, killed, closed(2, exclusive(0, 20, 30, value))]
  for (const counter of [1, 2]) assert.deepEqual(found([kill, killed], counter), {})
  for (const counter of [0, 3]) assert.deepEqual(found([kill, killed], counter), { counter: 1 })
  for (const value of [2, 3]) assert.deepEqual(found(after(value), value), {})
  for (const value of [1, 4]) assert.deepEqual(found(after(value), value), { counter: 1 })
  assert.deepEqual(found(after(2), 3), { counter: 1 })
})

test('processes that hang, crash, or leave no log are found', () => {
  const waits = log(1, [[5, 'requested', { attempt: 0, file: 0, mode: 'exclusive' }]])
  assert.deepEqual(found([storm([9, 'hangs', { process: 1 }]), waits], 0), { hung: 1, unanswered: 1 })
  assert.deepEqual(found([storm([9, 'crashed', { process: 1 }]), waits], 0), { crashed: 1 })
  assert.deepEqual(found([storm([1, 'starts', { process: 1 }])], 0), { crashed: 1 })
  assert.deepEqual(found([storm([1, 'starts', { process: 1 }], [2, 'kills', { process: 1 }])], 0), {})
  assert.deepEqual(found([log(1, exclusive(0, 10, 20, 1))], 1), { crashed: 1 })
  assert.deepEqual(found([log(1, []), storm([2, 'kills', { process: 1 }])], 0), {})
})

test('what a thread reports as failed, and what is left over, is found', () => {
  const failed = [
    [1, 'requested', { attempt: 0, file: 0 }],
    [2, 'failed', { attempt: 0, why: 'EIO' }],
  ]
  assert.deepEqual(found([closed(1, [...failed, [3, 'rejected', { attempt: 0, reason: 'abort' }]])], 0), { failed: 1 })
  assert.deepEqual(found([closed(1, [[1, 'leftover', { count: 2 }]])], 0), { 'left over': 1 })
  assert.deepEqual(found([storm([1, 'locked', { file: 0 }])], 0), { 'left over': 1 })
})

test('events that cannot be are found', () => {
  const malformed = (...events) => found([log(1, [...events, [99, 'closed']])], 0).malformed
  assert.equal(malformed([5, 'opened'], [4, 'opened']), 1)
  assert.equal(malformed([null, 'opened'], [1, 'opened'], [Number.NaN, 'opened']), 2)
  assert.equal(malformed([5, 'closed'], [6, 'opened']), 2)
  assert.equal(malformed([1, 'take']), 1)
  assert.equal(malformed([1, 'requested', { attempt: 0, file: 9, mode: 'shared' }]), 1)
})

test('one overlap among thousands of holds is found', () => {
  const COUNT = 5000
  const turns = (process, delay) =>
    closed(
      process,
      Array.from({ length: COUNT }, (_, i) => {
        const begin = 20 * i + 10 * process
        return exclusive(i, begin + delay(i), begin + 10, 2 * i + process)
      }).flat(),
    )
  const logs = (delay) => [turns(1, () => 2), turns(2, delay)]
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

test('the first violations of a kind are described: who, when and where', () => {
  const logs = Array.from({ length: 30 }, (_, i) => closed(i + 1, shared(0, 10 + i, 20 + i)))
  const { overlap } = check([...logs, closed(31, exclusive(0, 5, 100, 1))], [1]).violations
  assert.equal(overlap.count, 30)
  assert.equal(overlap.described.length, 5)
  assert.equal(
    overlap.described[0],
    'shared attempt 0 of node 1.0 on file 0, held since 0.000000010 s; ' +
      'and exclusive attempt 0 of node 31.0 on file 0, held since 0.000000005 s',
  )
})

test('the checker reads what a journal writes, and a log that breaks off in the middle of a line', (t) => {
  const folder = temporaryFolder(t)
  const journal = new Journal(folder, { process: 3, thread: 2, program: 'node' }, process.hrtime.bigint())
  const COUNT = 2000
  for (let attempt = 0; attempt < COUNT; attempt++) {
    journal.write('requested', { attempt, file: 1, mode: 'exclusive', sync: true })
    journal.write('held', { attempt, value: attempt + 1 })
    journal.write('releasing', { attempt })
  }
  journal.write('closed')
  fs.writeFileSync(path.join(folder, '1.lock'), 'no log')

  const [{ events, ...name }, ...others] = logsIn(folder)
  assert.deepEqual([name, others], [{ process: 3, thread: 2, program: 'node' }, []])
  const report = check([{ ...name, events }], [0, COUNT])
  assert.deepEqual(report.violations, {})
  assert.deepEqual(report.acquires, { node: { exclusive: COUNT, shared: 0, sync: COUNT } })
  assert.equal(report.events, 3 * COUNT + 2)

  const file = path.join(folder, '3.2.node.log')
  fs.truncateSync(file, fs.statSync(file).size - 1)
  const torn = check(logsIn(folder), [0, COUNT])
  assert.equal(torn.events, report.events - 1)
  assert.deepEqual(Object.keys(torn.violations), ['crashed'])
})
