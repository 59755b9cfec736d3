'use strict'

// From when to when the lock of one file was held, by whom, and what follows from that. Ten million events leave a few
// million holds: they are kept in columns of numbers.

const COLUMNS = {
  begin: Float64Array,
  end: Float64Array,
  value: Uint32Array,
  attempt: Uint32Array,
  log: Uint32Array,
  shared: Uint8Array,
  /** Has the holder died before it said that it was about to release? */
  open: Uint8Array,
}

class Holds {
  #columns
  length = 0

  constructor() {
    this.#columns = Object.fromEntries(Object.entries(COLUMNS).map(([name, Type]) => [name, new Type(1024)]))
  }

  add(hold) {
    if (this.length === this.#columns.begin.length) this.#grow()
    for (const name in COLUMNS) this.#columns[name][this.length] = hold[name]
    this.length++
  }

  at(index) {
    const hold = {}
    for (const name in COLUMNS) hold[name] = this.#columns[name][index]
    return hold
  }

  #grow() {
    for (const [name, Type] of Object.entries(COLUMNS)) {
      const column = new Type(this.length * 2)
      column.set(this.#columns[name])
      this.#columns[name] = column
    }
  }

  /**
   * Which hold began when. Of those that began at the same instant the shorter ones come first: one that had ended when
   * the next began.
   */
  #order() {
    const { begin, end, value } = this.#columns
    const order = new Uint32Array(this.length)
    for (let i = 0; i < order.length; i++) order[i] = i
    return order.sort((a, b) => begin[a] - begin[b] || end[a] - end[b] || value[a] - value[b])
  }

  /**
   * Calls `clash` with every hold that began while another one was there that it could not share the lock with, and with
   * that other one; `miscount` with every holder that found another number in the counter than those before it can have
   * left, and with what they can have left. `final`: what the counter says in the end. `processOf`: of a log.
   *
   * Returns how many shared holds began during another one, and during one of another process.
   */
  examine({ clash, miscount, final, processOf }) {
    const { begin, end, value, log, shared, open } = this.#columns
    const alone = new Latest()
    const together = new Latest()
    const shares = { any: 0, betweenProcesses: 0 }
    // The least and the greatest number that the counter can have. They differ by one after a holder that died: it has
    // said what it was going to write, and may have done so.
    let [least, greatest] = [0, 0]

    for (const i of this.#order()) {
      const owner = processOf(log[i])
      if (begin[i] < alone.end) clash(i, alone.index)
      if (shared[i]) {
        if (begin[i] < together.end) shares.any++
        if (begin[i] < together.endOfOthers(owner)) shares.betweenProcesses++
        together.note(i, end[i], owner)
        continue
      }
      if (begin[i] < together.end) clash(i, together.index)
      alone.note(i, end[i], owner)

      const found = value[i] - 1
      if (found < least || found > greatest) miscount(i, least, greatest)
      ;[least, greatest] = [open[i] ? found : value[i], value[i]]
    }
    if (final < least || final > greatest) miscount(undefined, least, greatest)
    return shares
  }
}

/** The hold that ends last of those that have begun, and when the last one of any other process ends. */
class Latest {
  index = -1
  end = -1
  #owner = -1
  #endOfRest = -1

  note(index, end, owner) {
    if (end > this.end) {
      if (owner !== this.#owner) this.#endOfRest = this.end
      this.index = index
      this.end = end
      this.#owner = owner
    } else if (owner !== this.#owner && end > this.#endOfRest) {
      this.#endOfRest = end
    }
  }

  /** When the last hold of any process but `owner` ends. */
  endOfOthers(owner) {
    return owner === this.#owner ? this.#endOfRest : this.end
  }
}

module.exports = { Holds }
