'use strict'

// The report that the benchmark makes of its figures. The figures here are made up.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')

const { contestants: allContestants } = require('../../benchmark/contestants/index.js')
const { charts } = require('../../benchmark/report/charts.js')
const { figure, spread } = require('../../benchmark/report/format.js')
const { toJson } = require('../../benchmark/report/index.js')
const { rewrite } = require('../../benchmark/report/markdown.js')
const { median, summarise } = require('../../benchmark/report/statistics.js')
const { look, terminal } = require('../../benchmark/report/terminal.js')
const { measure, planOf, takesPart } = require('../../benchmark/rounds.js')
const { rows } = require('../../benchmark/rows/index.js')
const { installPackages } = require('../../benchmark/setup.js')

const OURS = '@locket/native'
const LATENCY = { id: 'p50', title: 'p50', unit: 'µs', better: 'lower' }
const SLOWEST = { id: 'p99', title: 'p99', unit: 'µs', better: 'lower' }
const RATE = { id: 'rate', title: 'rate', unit: 'per second', better: 'higher' }

const MEASURED = {
  date: '2025-01-31T12:00:00.000Z',
  command: 'npm run bench',
  rounds: 3,
  quick: false,
  machine: { cpu: 'A processor', cores: 2, memory: 8e9, kernel: '6.1', fileSystem: 'ext4' },
  versions: { node: '20.0.0', 'fs-ext': '2.1.1' },
}

/** A contestant with a value of one measure for each round. */
const contestant = (name, kind, measure, values) => ({
  name,
  kind,
  rounds: values.map((value) => ({ [measure.id]: value })),
})

/** Ours by another protocol. */
const variant = (protocol, rival, ...figures) => ({ ...contestant(`${OURS} (${protocol})`, ...figures), rival })

const rowOf = (contestants, measures = [LATENCY]) => ({
  id: 'hand-over',
  title: 'Hand-over',
  detail: 'From one to the other.',
  measures,
  contestants,
})

/** The summarised results of one row. */
const resultsOf = (...row) => summarise({ measured: MEASURED, rows: [rowOf(...row)], curves: [] })

const GROWING = [1, 10, 100].map((x) => ({ x, rounds: [{ p50: x / 2 }] }))

/** The summarised results of one curve, in which fs-ext has these points. */
function curveOf(points, measure = LATENCY, ours = GROWING) {
  const contestants = [
    { name: OURS, kind: 'kernel', points: ours },
    { name: 'fs-ext', kind: 'kernel', points },
  ]
  const curve = { ...rowOf(contestants, [measure]), id: 'waiters', x: 'waiters' }
  return summarise({ measured: MEASURED, rows: [], curves: [curve] })
}

/** The summary of ours in a row of these contestants. */
const oursAmong = (contestants, measure = LATENCY) =>
  resultsOf(contestants, [measure]).rows[0].contestants.find(({ name }) => name === OURS).summary[measure.id]

describe('statistics', () => {
  test('the median of an even number of rounds lies between the two in the middle', () => {
    assert.equal(median([9, 1, 5]), 5)
    assert.equal(median([10, 1, 3, 2]), 2.5)
  })

  test('the ratio is taken round by round, to the peer that did best over the run', () => {
    const { ratio, ...values } = oursAmong([
      contestant('fs-ext', 'kernel', LATENCY, [100, 20, 40]),
      contestant(OURS, 'kernel', LATENCY, [50, 30, 10]),
      contestant('os-lock', 'kernel', LATENCY, [10, 90, 90]),
    ])
    assert.deepEqual(values, { median: 30, low: 10, high: 50 })
    assert.deepEqual(ratio, { median: 0.5, low: 0.25, high: 1.5, of: 'fs-ext' })
  })

  test('the best peer has the most where more is better', () => {
    const peers = [contestant('fs-ext', 'kernel', RATE, [10]), contestant('lockfile', 'file', RATE, [20])]
    const { ratio } = oursAmong([contestant(OURS, 'kernel', RATE, [30]), ...peers], RATE)
    assert.deepEqual(ratio, { median: 1.5, low: 1.5, high: 1.5, of: 'lockfile' })
  })

  test('who failed, who locks no file, and the floor are not compared with', () => {
    const { ratio } = oursAmong([
      contestant(OURS, 'kernel', LATENCY, [10]),
      { name: 'os-lock', kind: 'kernel', rounds: [{ failed: 'lost 12 of 400 updates' }] },
      { name: 'fs-ext', kind: 'kernel', cannot: 'hangs' },
      contestant('async-mutex', 'memory', LATENCY, [1]),
      contestant('floor: system calls', 'floor', LATENCY, [1]),
    ])
    assert.equal(ratio, undefined)
  })

  test('ours by another protocol is compared with its rival, however others did', () => {
    const { contestants } = resultsOf([
      contestant(OURS, 'kernel', LATENCY, [10]),
      variant('lockfile', 'lockfile', 'file', LATENCY, [20]),
      variant('fcntl', OURS, 'kernel', LATENCY, [40]),
      contestant('lockfile', 'file', LATENCY, [200]),
      contestant('fs-ext', 'kernel', LATENCY, [1]),
    ]).rows[0]
    const ratios = contestants.slice(1, 3).map(({ summary }) => summary.p50.ratio)
    assert.deepEqual(
      ratios.map(({ median, of }) => [median, of]),
      [
        [0.1, 'lockfile'],
        [4, OURS],
      ],
    )
  })

  test('ours by another protocol is no peer, and a rival without figures is not compared with', () => {
    const entries = [
      contestant(OURS, 'kernel', LATENCY, [10]),
      variant('lockfile', 'lockfile', 'file', LATENCY, [1]),
      { name: 'lockfile', kind: 'file', cannot: 'waits for ever' },
      contestant('fs-ext', 'kernel', LATENCY, [20]),
    ]
    assert.equal(oursAmong(entries).ratio.of, 'fs-ext')
    assert.equal(resultsOf(entries).rows[0].contestants[1].summary.p50.ratio, undefined)
  })

  test('one failed round is a failure, and takes the figures of the other rounds with it', () => {
    const rounds = [{ p50: 1 }, { failed: 'lost 12 of 400 updates' }, { p50: 1 }]
    const [failed] = resultsOf([{ name: 'os-lock', kind: 'kernel', rounds }]).rows[0].contestants
    assert.equal(failed.failed, 'lost 12 of 400 updates (in 1 of 3 rounds)')
    assert.equal(failed.summary, undefined)
  })

  test('nothing is as good as nothing, and something has no ratio to nothing', () => {
    const peer = contestant('fs-ext', 'kernel', LATENCY, [0])
    assert.equal(oursAmong([contestant(OURS, 'kernel', LATENCY, [0]), peer]).ratio.median, 1)
    assert.equal(oursAmong([contestant(OURS, 'kernel', LATENCY, [3]), peer]).ratio.median, null)
  })
})

describe('figures', () => {
  test('have three significant digits, and a unit of the right size', () => {
    const figures = { '80.1 µs': [80.123, 'µs'], '1.00 ms': [999.7, 'µs'], '16.4 s': [16_400, 'ms'], '0 ms': [0, 'ms'] }
    for (const [text, [value, unit]] of Object.entries(figures)) assert.equal(figure(value, unit), text)
    assert.equal(figure(12_643, 'per second'), '12,600/s')
    assert.equal(figure(0.25, 'MB'), '250 KB')
  })

  test('that count are not rounded', () => {
    assert.equal(figure(6387, ''), '6,387')
    assert.equal(figure(1000, 'threads'), '1,000')
  })

  test('of a spread are in the unit of the median', () => {
    assert.equal(spread({ median: 900, low: 80, high: 1200 }, 'µs'), '80.0–1,200')
  })
})

describe('who takes part in a row', () => {
  const contestants = [
    { name: OURS, kind: 'kernel', command: () => [] },
    { name: 'fs-ext', kind: 'kernel', cannot: { waiters: 'hangs' } },
    { name: 'flock', kind: 'kernel', rows: ['command'], command: () => [] },
  ]
  const entriesOf = (row) => planOf([row], contestants, { quick: false, rounds: 1 }, new Map())[0].entries
  const namesIn = (row) => entriesOf(row).map(({ contestant: { name } }) => name)

  test('depends on the kind of lock, or on a feature that the row needs', () => {
    assert.deepEqual(namesIn({ id: 'waiters', kinds: ['kernel'] }), [OURS, 'fs-ext'])
    assert.deepEqual(namesIn({ id: 'waiters', kinds: ['file'] }), [])
    assert.deepEqual(namesIn({ id: 'command', takes: ({ command }) => command !== undefined }), [OURS, 'flock'])
  })

  test('is in the results with the rival that it is compared with', async () => {
    const entry = { ...variant('lockfile', 'lockfile', 'file', LATENCY, []), rows: ['hand-over'] }
    const [part] = planOf([{ ...rowOf([]), kinds: [] }], [entry], { quick: false, rounds: 1 }, new Map())
    const { contestants } = await measure(part, async () => ({ p50: 1 }))
    assert.deepEqual(contestants, [
      { name: entry.name, kind: 'file', runtime: undefined, rival: 'lockfile', rounds: [{ p50: 1 }] },
    ])
  })

  test('has its rival in all of its rows', () => {
    const all = allContestants()
    const variants = all.filter(({ rival }) => rival)
    assert.notEqual(variants.length, 0)
    for (const { name, rival, rows: ids } of variants) {
      const found = all.find((each) => each.name === rival)
      for (const id of ids) {
        const row = rows.find((each) => each.id === id)
        assert.ok(row && takesPart(found, row), `${name} has no rival in ${id}`)
      }
    }
  })

  test('is told once why it cannot do rows that differ in a number', () => {
    const reasons = ['waiters', 'waiters-1000', 'waiters-of-1000'].map((id) => {
      const [, { cannot }] = entriesOf({ id, kinds: ['kernel'] })
      return cannot
    })
    assert.deepEqual(reasons, ['hangs', 'hangs', undefined])
  })
})

describe('the report on a terminal', () => {
  const results = resultsOf(
    [
      { name: 'lockfile', kind: 'file', cannot: 'never gives the lock up' },
      contestant('fs-ext', 'kernel', LATENCY, [83, 84, 85]),
      { name: 'os-lock', kind: 'kernel', rounds: [{ failed: 'lost 12 of 400 updates' }] },
      contestant('proper-lockfile', 'file', LATENCY, [9000, 9200, 9900]),
      contestant(OURS, 'kernel', LATENCY, [78, 80, 82]),
    ],
    [LATENCY, SLOWEST],
  )

  test('has the best first, and below them the reasons of those without figures', () => {
    const names = [OURS, 'fs-ext', 'proper-lockfile', 'os-lock', 'lockfile']
    const lines = terminal(results).split('\n')
    const places = names.map((name) => lines.findIndex((line) => line.startsWith(`  ${name}`)))
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
    )
    assert.match(lines[places[0]], /80\.0 µs \(78\.0–82\.0\)/)
    assert.match(lines[places[3]], /: failed: lost 12 of 400 updates$/)
    assert.match(lines[places[4]], /: never gives the lock up$/)
  })

  test('says how ours compares with the best peer', () => {
    assert.match(terminal(results), /ours \/ best peer +0\.952 × \(0\.940–0\.965\), fs-ext/)
    assert.match(terminal(results), /Hand-over: p50 +80\.0 µs +84\.0 µs fs-ext +1\.05 ×/)
  })

  test('shows ours by other protocols beside their rivals, and not among the peers', () => {
    const shown = terminal(
      resultsOf([
        contestant('lockfile', 'file', LATENCY, [200]),
        variant('lockfile', 'lockfile', 'file', LATENCY, [20]),
        contestant(OURS, 'kernel', LATENCY, [10]),
      ]),
    )
    assert.match(shown, /@locket\/native \(lockfile\) \/ rival +0\.100 ×, lockfile/)
    assert.match(shown, /Hand-over: p50 +20\.0 µs \(lockfile\) +200 µs lockfile +10\.0 ×/)
    assert.match(shown, /Hand-over: p50 +10\.0 µs +200 µs lockfile +20\.0 ×/)
    assert.doesNotMatch(terminal(results), /rival/)
  })

  test('fits the terminal', () => {
    for (const columns of [80, 100, 120, 300]) {
      const lines = terminal(results, look({ columns }, {})).split('\n')
      assert.deepEqual(
        lines.filter((line) => line.length > Math.min(columns, 120)),
        [],
      )
    }
  })

  test('has colours on a terminal only, and not where NO_COLOR says so', () => {
    const isColoured = (stream, env) => terminal(results, look(stream, env)).includes('\x1b[')
    assert.equal(isColoured({ isTTY: true }, {}), true)
    assert.equal(isColoured({ isTTY: true }, { NO_COLOR: '1' }), false)
    assert.equal(isColoured({ isTTY: false }, {}), false)
  })
})

describe('what is written', () => {
  const rounds = [{ p50: 80, p99: 300 }]
  const contestants = [
    { name: OURS, kind: 'kernel', rounds },
    { name: 'a<b>', kind: 'kernel', rounds },
  ]
  const results = resultsOf(contestants, [LATENCY, SLOWEST])

  test('results.json is what was measured, with a line for a round', () => {
    assert.deepEqual(JSON.parse(toJson(results)), JSON.parse(JSON.stringify(results)))
    assert.match(toJson({ rounds: Array(9).fill({ p50: 80.1, p99: 900 }) }), /^ {4}\{ "p50": 80\.1, "p99": 900 \},$/m)
  })

  test('a curve ends where a contestant failed, and says why', () => {
    const drawn = curveOf([1, 10, 100].map((x) => ({ x, rounds: [x < 100 ? { p50: x } : { failed: 'hangs' }] })))
    assert.match(terminal(drawn), /^ {2}fs-ext +1\.00 µs +10\.0 µs$/m)
    assert.match(terminal(drawn), /fs-ext: failed at 100 waiters: hangs/)
    const [{ id, description }] = charts(drawn)
    assert.equal(id, 'scaling-waiters')
    assert.match(description, /@locket\/native 50\.0 µs at 100 waiters; fs-ext 10\.0 µs at 10 waiters/)
  })

  test('ours by other protocols stand in the report of the benchmark alone, and in no chart', () => {
    const figures = resultsOf([...contestants, { name: `${OURS} (lockfile)`, kind: 'file', rival: 'a<b>', rounds }])
    const made = (name) => rewrite(`<!-- benchmark:${name} -->\n<!-- /benchmark -->`, figures, 'charts')
    assert.match(made('report'), /^\| Hand-over: p50 +\| \*\*80\.0 µs \(lockfile\)\*\* \|/m)
    assert.doesNotMatch(made('summary'), /\(lockfile\)/)
    assert.doesNotMatch(charts(figures)[0].description, /\(lockfile\)/)
  })

  test('the section of a README is made anew, and all else stays', () => {
    const readme = (text) => `Before\n\n<!-- benchmark:report -->\n${text}\n<!-- /benchmark -->\n\nAfter\n`
    const once = rewrite(readme('old'), results, 'charts')
    assert.match(
      once,
      /^Before\n\n<!-- benchmark:report -->\n[\s\S]*<picture>[\s\S]*charts\/hand-over-dark\.svg[\s\S]*\n\nAfter\n$/,
    )
    assert.doesNotMatch(once, /old/)
    assert.equal(rewrite(once, results, 'charts'), once)
    assert.throws(() => rewrite('no section', results, 'charts'), /there is no section/)
  })
})

const missing = installPackages('charts')

describe('charts', { skip: process.env.LOCKET_REQUIRE_ALL === '1' ? false : missing }, () => {
  const drawn = async (results) => {
    const { draw } = await import('../../benchmark/report/draw.mjs')
    return charts(results).flatMap((chart) => ['light', 'dark'].map((theme) => draw(chart, theme)))
  }

  test('have a title and a description, and names are text in them', async () => {
    const contestants = [OURS, 'a<b>'].map((name) => ({ name, kind: 'kernel', rounds: [{ p50: 80, p99: 300 }] }))
    const svgs = await drawn(resultsOf(contestants, [LATENCY, SLOWEST]))
    assert.notEqual(svgs[0], svgs[1])
    for (const svg of svgs) {
      assert.match(svg, /<title id="title">Hand-over<\/title><desc id="description">.*@locket\/native 80\.0 µs, 300 µs/)
      assert.match(svg, />a&lt;b&gt;</)
    }
  })

  test('draw a curve with figures that are zero or missing', async () => {
    const curves = ['µs', 'MB', 'threads'].flatMap((unit) =>
      [{ p50: 0 }, { failed: 'hangs' }, { p50: null }].flatMap((round) => {
        const points = [1, 10, 100].map((x) => ({ x, rounds: [round] }))
        return [curveOf(points, { ...LATENCY, unit }), curveOf(points, { ...LATENCY, unit }, points)]
      }),
    )
    for (const svg of (await Promise.all(curves.map(drawn))).flat()) assert.doesNotMatch(svg, /NaN|undefined|Infinity/)
  })

  test('have names that keep apart, and stay near their lines', async () => {
    const { apart } = await import('../../benchmark/report/panels.mjs')
    assert.deepEqual(apart([10, 50, 50, 90], 10, 0, 100), [10, 45, 55, 90])
    assert.deepEqual(apart([98, 99, 100], 10, 0, 100), [80, 90, 100])
    assert.deepEqual(apart([5, 5], 10, 5, 100), [5, 15])
  })
})
