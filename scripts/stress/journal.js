'use strict'

// The logs of a storm: one per thread, one JSON object a line, one event each. Every line is one system call, so what has
// been written survives SIGKILL, except for a torn last line. neighbour.py writes the same.
//
// Every event has `time` (ns since the start of the storm, by the monotonic clock of all processes) and `event`:
//
//   opened      pid                              the first event of a log
//   requested   attempt, file, mode, sync?, timeout?   the call is about to be made
//   held        attempt, value?                  the call has returned; `value` is what the holder will write into the counter
//   releasing   attempt                          the counter has been written, the release is about to be called
//   rejected    attempt, reason                  'timeout', 'abort', or 'busy' for a try
//   failed      attempt, why                     what must not happen, such as an error of another kind
//   terminates  thread                           this worker thread of the same process is about to be terminated
//   leftover    count                            holds and waits that the process still knows of when all has ended
//   closed                                       the last event of a thread that ended by itself
//
// In the log of the storm itself, and `kills` also in the log of a process that kills itself:
//
//   starts, kills, hangs, crashed   process      `hangs`: it has not ended in time, and is killed for that
//   locked      file                             this file was still locked after all processes had ended

const fs = require('node:fs')
const path = require('node:path')

const CHUNK = 2 ** 16

class Journal {
  #fd
  #start

  constructor(folder, { process: number, thread = 0, program }, start) {
    this.#fd = fs.openSync(path.join(folder, `${number}.${thread}.${program}.log`), 'wx')
    this.#start = start
    this.write('opened', { pid: process.pid })
  }

  /** Nanoseconds since the start. */
  now() {
    return Number(process.hrtime.bigint() - this.#start)
  }

  write(event, details, time = this.now()) {
    fs.writeSync(this.#fd, `${JSON.stringify({ time, event, ...details })}\n`)
  }
}

/** The events in a log. The file is open only while it is read: there may be thousands of them. */
function* eventsIn(file) {
  const chunk = Buffer.alloc(CHUNK)
  let rest = Buffer.alloc(0)
  for (let position = 0; ; ) {
    const fd = fs.openSync(file, 'r')
    const length = fs.readSync(fd, chunk, 0, CHUNK, position)
    fs.closeSync(fd)
    if (length === 0) return
    position += length
    const bytes = Buffer.concat([rest, chunk.subarray(0, length)])
    const end = bytes.lastIndexOf('\n') + 1
    rest = bytes.subarray(end)
    for (const line of bytes.toString('utf8', 0, end).split('\n')) if (line) yield JSON.parse(line)
  }
}

/** The logs in `folder`, as the checker takes them. */
function logsIn(folder) {
  return fs.readdirSync(folder).flatMap((name) => {
    const [, number, thread, program] = /^(\d+)\.(\d+)\.([\w-]+)\.log$/.exec(name) ?? []
    if (program === undefined) return []
    const events = eventsIn(path.join(folder, name))
    return [{ process: Number(number), thread: Number(thread), program, events }]
  })
}

module.exports = { Journal, logsIn }
