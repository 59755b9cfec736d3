'use strict'

// A program that locks random groups of a few files, in a random order, by random names and in random modes, and looks each time
// whether it is alone. Usage: node storm.js FOLDER TIMES. It is also a worker thread, with the same workerData.

const fs = require('node:fs')
const path = require('node:path')
const { isMainThread, threadId, workerData } = require('node:worker_threads')

const { lockFiles } = require('../..')

const [folder, times] = isMainThread ? process.argv.slice(2) : workerData
const NAMES = ['0', '1', '2', '3', '4']
/** Two links and a hard link to each of the files. */
const SPELLINGS = ['', '.soft', '.hard', '.far']

const random = (count) => Math.floor(Math.random() * count)
const shuffled = (list) =>
  list
    .map((value) => [Math.random(), value])
    .sort(([a], [b]) => a - b)
    .map(([, value]) => value)

/** Says that the lock of this name is held, and throws if anybody else says so against its mode. */
function enter(name, mode) {
  const marks = path.join(folder, 'marks')
  const mark = path.join(marks, `${name} ${mode} ${process.pid} ${threadId}`)
  fs.writeFileSync(mark, '', { flag: 'wx' })
  const check = () => {
    const others = fs
      .readdirSync(marks)
      .filter((other) => other.startsWith(`${name} `) && other !== path.basename(mark))
    const clash = others.find((other) => mode === 'exclusive' || other.includes('exclusive'))
    if (clash !== undefined) throw new Error(`two at once: ${path.basename(mark)} and ${clash}`)
  }
  check()
  return () => {
    check()
    fs.rmSync(mark)
  }
}

async function storm() {
  for (let i = 0; i < times; i++) {
    const group = shuffled(NAMES).slice(0, 1 + random(NAMES.length))
    const modes = new Map(group.map((name) => [name, random(3) === 0 ? 'shared' : 'exclusive']))
    const paths = group.map((name) => ({
      path: path.join(folder, name + SPELLINGS[random(SPELLINGS.length)]),
      mode: modes.get(name),
    }))
    if (random(4) === 0) paths.push({ path: path.join(folder, group[0]), mode: 'shared' })
    const locks = lockFiles(paths)
    const way = random(6)
    if (way === 0 && !(await locks.tryAcquire())) continue
    if (way === 1 && (await locks.acquire(random(5)).catch(() => undefined)) === undefined) continue
    if (way === 2) locks.acquireSync()
    if (way > 2) await locks.acquire()
    const leaves = group.map((name) => enter(name, modes.get(name)))
    if (random(4) === 0) await new Promise(setImmediate)
    for (const leave of leaves) leave()
    locks.release()
  }
}

storm().then(() => fs.writeSync(1, 'done\n'))
