'use strict'

// `npm run demo`, and the picture that it draws.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { promisify, stripVTControlCharacters } = require('node:util')

const { eventLines, painter, picture, summary, wrap } = require('../scripts/demo/picture.js')
const { overlap, succession } = require('../scripts/demo/record.js')
const { Talker, temporaryFolder, until } = require('./support.js')

const DEMO = path.join(__dirname, '../scripts/demo.js')

/** The environment of a demo that makes what it makes in `folder`. */
const environment = (folder) => ({ ...process.env, TMPDIR: folder, TEMP: folder, TMP: folder })

/** Starts the demo, and waits until somebody holds the lock. */
async function demoInProgress(t) {
  const folder = temporaryFolder(t)
  const demo = new Talker(t, process.execPath, [DEMO], { env: environment(folder) })
  const lines = []
  do lines.push(await demo.line())
  while (!lines.at(-1).endsWith('holds the lock'))
  return { demo, folder, pids: pidsIn(lines) }
}

/** The processes that the demo says to be ready. */
const pidsIn = (lines) =>
  lines
    .map((line) => /\((\d+)\) is ready$/.exec(line)?.[1])
    .filter(Boolean)
    .map(Number)

function isRunning(pid) {
  try {
    process.kill(pid, 0)
    // One that has ended, and that nobody has asked about, still has its pid: not every container's init asks.
    return process.platform !== 'linux' || !fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

function assertNothingLeft(folder, pids) {
  assert.equal(new Set(pids).size, 5)
  assert.deepEqual(pids.filter(isRunning), [])
  assert.deepEqual(fs.readdirSync(folder), [])
}

test('the demo shows turns, a kill and a refusal, and ends by itself', async (t) => {
  const folder = temporaryFolder(t)
  const run = promisify(execFile)(process.execPath, [DEMO], { env: environment(folder) })
  const { stdout, stderr } = await run.catch((error) => assert.fail(`${error.message}\n${error.stdout}`))
  assert.equal(stderr, '')

  const lines = stdout.split('\n')
  const afterKill = lines.slice(
    lines.findIndex((line) => line.endsWith('is killed with SIGKILL while it holds the lock')),
  )
  assert.match(
    afterKill.find((line) => line.includes('holds the lock,')),
    /, \d+\.\d ms after the kill$/,
  )
  const paragraph = lines.slice(lines.lastIndexOf('', -2) + 1).join(' ')
  // How many turns the killed one has had is for the kernel to say.
  assert.match(paragraph, /^1[012] turns by 4 processes, and never two holders at once\. /)
  assert.match(paragraph, / was killed while it held the lock: .* had it \d+\.\d ms after the kill\. /)
  assert.match(paragraph, / was refused: Couldn't lock .* within 300 ms/)

  assert.ok(!stdout.includes('\x1b'), 'escape codes without a terminal')
  for (const line of lines) assert.ok(line.length <= 80, `too wide: ${line}`)
  assertNothingLeft(folder, pidsIn(lines))
})

test('a process that ends unasked fails the demo, which says which', async (t) => {
  const { demo, folder, pids } = await demoInProgress(t)
  process.kill(pids[0], 'SIGKILL')
  const { code, stderr } = await demo.exited
  assert.equal(code, 1)
  assert.match(stderr, new RegExp(`^The demo failed: \\w \\(${pids[0]}\\) ended unasked, with SIGKILL\n`))
  assertNothingLeft(folder, pids)
})

test('an interrupted demo leaves nothing behind', { skip: process.platform === 'win32' }, async (t) => {
  const { demo, folder, pids } = await demoInProgress(t)
  const { code, stderr } = await demo.kill('SIGINT')
  assert.equal(code, 130)
  assert.equal(stderr, 'The demo failed: interrupted by SIGINT\n')
  assertNothingLeft(folder, pids)
})

test('the processes of a demo that is killed end by themselves', async (t) => {
  const { demo, pids } = await demoInProgress(t)
  await demo.kill()
  await until(() => !pids.some(isRunning), 'the end of all processes')
})

/** A holds for 2 s and is killed, B waits for it and is next, C gives up. */
const EVENTS = [
  { name: 'A', pid: 10, what: 'ready', at: 0 },
  { name: 'A', pid: 10, what: 'waits', at: 900 },
  { name: 'A', pid: 10, what: 'holds', at: 1000 },
  { name: 'B', pid: 200, what: 'waits', at: 1500 },
  { name: 'C', pid: 30, what: 'waits', at: 2000 },
  { name: 'C', pid: 30, what: 'refused', at: 2500, message: "Couldn't lock x within 500 ms" },
  { name: 'A', pid: 10, what: 'killed', at: 3000 },
  { name: 'B', pid: 200, what: 'holds', at: 3001.25 },
  { name: 'B', pid: 200, what: 'rests', at: 4000 },
  { name: 'B', pid: 200, what: 'done', at: 4500 },
]
const ACTORS = [
  { name: 'A', pid: 10 },
  { name: 'B', pid: 200 },
  { name: 'C', pid: 30 },
]
const LABEL = 'A  200  refused '.length
const draw = (events, until, paint = painter(false)) =>
  picture({ actors: ACTORS, events, until, span: 5000 }, { width: LABEL + 20, paint })

test('a lane per process shows what it did when, and the lane of the lock who held it', () => {
  assert.deepEqual(draw(EVENTS, 5000).slice(0, 6), [
    'lock                AAAAAAAABBBB',
    'A   10  killed  ····████████╳',
    'B  200  done          ──────████··',
    'C   30  refused         ──┤',
    '                └───┴───┴───┴───┴───',
    '                0 s 1 s 2 s 3 s 4 s',
  ])
})

test('the picture of a show that goes on ends with the present', () => {
  const now = 1750
  const soFar = EVENTS.filter(({ at }) => at <= now)
  assert.deepEqual(draw(soFar, now).slice(0, 4), [
    'lock                AAA',
    'A   10  holds   ····███',
    'B  200  waits         ─',
    'C   30',
  ])
})

test('colours change nothing but colours', () => {
  const colourful = draw(EVENTS, 5000, painter(true))
  assert.ok(colourful[1].includes('\x1b[31m╳\x1b[0m'), 'a red cross')
  const plain = colourful.map((line) => stripVTControlCharacters(line).trimEnd())
  assert.deepEqual(plain, draw(EVENTS, 5000))
})

test('the lane of the lock shows two holders at once', () => {
  const events = [
    { name: 'A', what: 'holds', at: 0 },
    { name: 'B', what: 'holds', at: 2000 },
    { name: 'A', what: 'rests', at: 3000 },
    { name: 'B', what: 'rests', at: 4000 },
  ]
  assert.equal(draw(events, 5000)[0].slice(LABEL), 'AAAAAAAA!!!!BBBB')
})

test('turns that overlap are found, also if one has not ended, and turns that touch are none', () => {
  const turn = (name, from, to) => [
    { name, what: 'holds', at: from },
    ...(to === undefined ? [] : [{ name, what: 'rests', at: to }]),
  ]
  assert.equal(overlap(EVENTS), undefined)
  assert.equal(overlap([...turn('A', 0, 10), ...turn('B', 10, 20)]), undefined)
  assert.deepEqual(overlap([...turn('B', 9, 20), ...turn('A', 0, 10)]), [
    { name: 'A', from: 0, to: 10 },
    { name: 'B', from: 9, to: 20 },
  ])
  assert.deepEqual(
    overlap([...turn('A', 0, 30), ...turn('B', 40, 41), ...turn('C', 5, 6)])?.map(({ name }) => name),
    ['A', 'C'],
  )
  assert.deepEqual(
    overlap([...turn('A', 0), ...turn('B', 40, 41)])?.map(({ name }) => name),
    ['A', 'B'],
  )
})

test('the wait after the kill counts from the kill', () => {
  assert.equal(succession(EVENTS).wait, 1.25)
  assert.equal(succession(EVENTS).next.name, 'B')
  assert.equal(succession(EVENTS.slice(0, 7)), undefined)
  assert.equal(succession(EVENTS.slice(0, 6)), undefined)
  const [line] = eventLines(EVENTS[7], EVENTS, 80)
  assert.equal(line, ' 3.001 s  B (200) holds the lock, 1.3 ms after the kill')
  assert.match(
    summary(EVENTS, 1000)[0],
    /A \(10\) was killed .* B \(200\), the next in line, had it 1\.3 ms after the kill/,
  )
})

test('text is wrapped between words, and a word that is too long is cut', () => {
  assert.deepEqual(wrap('one two three', 7), ['one two', 'three'])
  assert.deepEqual(wrap('one two three', 9, '> '), ['> one two', '  three'])
  assert.deepEqual(wrap('a 123456789 b', 5), ['a', '12345', '6789', 'b'])
  assert.deepEqual(wrap('', 5), [''])
})
