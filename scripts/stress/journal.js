'use strict'

// The logs of a storm. Each thread writes one of its own, a record of fixed size per event, each by one system call: what
// has been written survives SIGKILL, but for a torn last record. neighbour.py writes the same.
//
// Binary, since ten minutes make tens of millions of records, and since a thread that writes longer lines makes fewer
// attempts.

const fs = require('node:fs')

/** Bytes of a record: a double, two 32-bit numbers, four of 8 bits, one of 32. Little-endian. */
const SIZE = 24
const CHUNK = SIZE * 65_536

const KINDS = {
  /** The first record of every log. `value`: the process's id. */
  OPENED: 1,
  /** About to ask for the lock. `timeout`: the longest wait. */
  REQUESTED: 2,
  /** The call has returned with the lock. `value`: what the holder is going to write into the counter, if anything. */
  GRANTED: 3,
  /** About to release. The counter has been written. */
  RELEASED: 4,
  TIMED_OUT: 5,
  ABORTED: 6,
  /** An attempt that does not wait has not got it. */
  REFUSED: 7,
  /** What must not happen: an error of another kind, or a handle that does not know what it holds. */
  FAILED: 8,
  /** All that was asked for has come to its end. The last record of a thread that was left to end by itself. */
  CLOSED: 9,
  /** About to be terminated: the thread `value` of this process. */
  TERMINATED: 10,
  /** When all has ended, the process knows of this many (`value`) holds and waits. */
  LEFT_OVER: 11,

  // In the log of the storm itself. `value`: the process's number.
  STARTED: 20,
  /** About to be killed. Also in the log of a process that kills itself. */
  KILLED: 21,
  /** Has not ended in time, and is about to be killed for that. */
  HUNG: 22,
  /** Has ended by itself, and badly. */
  CRASHED: 23,
  /** After all processes had ended, `file` was still locked. */
  STILL_LOCKED: 24,
}

/** In the order of their numbers in a record. Those from FIRST_SYNC on block their thread. */
const FORMS = ['acquire', 'run', 'tryAcquire', 'acquireSync', 'tryAcquireSync']
const FIRST_SYNC = FORMS.indexOf('acquireSync')

/** The `timeout` of a wait without end. */
const ENDLESS = 0xffff_ffff

/** The one clock of all processes, in nanoseconds since `start`: CLOCK_MONOTONIC, as Python's time.monotonic_ns(). */
const nowSince = (start) => Number(process.hrtime.bigint() - start)

const logName = ({ process, thread, program }) => `${process}.${thread}.${program}.log`

class Journal {
  #fd
  #bytes = new Uint8Array(SIZE)
  #time = new Float64Array(this.#bytes.buffer, 0, 1)
  #words = new Uint32Array(this.#bytes.buffer)
  #start

  constructor(file, start) {
    this.#fd = fs.openSync(file, 'wx')
    this.#start = start
    this.write(KINDS.OPENED, { value: process.pid })
  }

  now() {
    return nowSince(this.#start)
  }

  write(kind, { attempt = 0, value = 0, file = 0, shared = false, form = 0, timeout = 0 }, time = this.now()) {
    this.#time[0] = time
    this.#words[2] = attempt
    this.#words[3] = value
    this.#bytes[16] = kind
    this.#bytes[17] = file
    this.#bytes[18] = shared ? 1 : 0
    this.#bytes[19] = form
    this.#words[5] = timeout
    fs.writeSync(this.#fd, this.#bytes)
  }
}

/** The contents of a log, piece by piece. All but the last are of whole records. */
function* readChunks(file) {
  const fd = fs.openSync(file, 'r')
  const chunk = Buffer.alloc(CHUNK)
  try {
    for (;;) {
      const length = fs.readSync(fd, chunk, 0, CHUNK)
      if (length === 0) return
      yield chunk.subarray(0, length)
    }
  } finally {
    fs.closeSync(fd)
  }
}

/** Calls `visit` with each whole record. It is one object, and only good until the call returns. */
function eachRecord(chunks, visit) {
  const record = { time: 0, attempt: 0, value: 0, kind: 0, file: 0, shared: false, form: 0, timeout: 0 }
  for (const chunk of chunks) {
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let at = 0; at + SIZE <= chunk.byteLength; at += SIZE) {
      record.time = view.getFloat64(at, true)
      record.attempt = view.getUint32(at + 8, true)
      record.value = view.getUint32(at + 12, true)
      record.kind = view.getUint8(at + 16)
      record.file = view.getUint8(at + 17)
      record.shared = view.getUint8(at + 18) === 1
      record.form = view.getUint8(at + 19)
      record.timeout = view.getUint32(at + 20, true)
      visit(record)
    }
  }
}

/** The logs in `folder`, as the checker takes them. */
function logsIn(folder) {
  return fs
    .readdirSync(folder)
    .map((name) => ({ name, parts: /^(\d+)\.(\d+)\.(\w+)\.log$/.exec(name) }))
    .filter(({ parts }) => parts)
    .map(({ name, parts: [, process, thread, program] }) => ({
      program,
      process: Number(process),
      thread: Number(thread),
      chunks: readChunks(`${folder}/${name}`),
    }))
}

module.exports = { ENDLESS, FIRST_SYNC, FORMS, Journal, KINDS, SIZE, eachRecord, logName, logsIn, nowSince }
