'use strict'

// A number in a file, which whoever holds the exclusive lock counts up. Four bytes written in place: a process that is
// killed has written all of them or none.

const fs = require('node:fs')

const WIDTH = 4

class Counter {
  #fd
  #bytes = Buffer.alloc(WIDTH)

  constructor(file) {
    this.#fd = fs.openSync(file, 'r+')
  }

  read() {
    fs.readSync(this.#fd, this.#bytes, 0, WIDTH, 0)
    return this.#bytes.readUInt32LE()
  }

  write(value) {
    this.#bytes.writeUInt32LE(value)
    fs.writeSync(this.#fd, this.#bytes, 0, WIDTH, 0)
  }

  static create(file) {
    fs.writeFileSync(file, Buffer.alloc(WIDTH), { flag: 'wx' })
  }
}

module.exports = { Counter }
