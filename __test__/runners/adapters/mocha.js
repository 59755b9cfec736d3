import fakeTimers from '@sinonjs/fake-timers'
import { after, before, it } from 'mocha'

export { loadAgain } from './without-cache.js'
export { after as afterAll, before as beforeAll }

/** Without the parameter, by which Mocha would take it for one with a callback. */
export const test = (name, task, limit) => {
  const made = it(name, () => task({}))
  if (limit !== undefined) made.timeout(limit)
}

let clock

export const timers = {
  fake() {
    clock = fakeTimers.install()
  },
  advance: (milliseconds) => clock.tick(milliseconds),
  restore: () => clock.uninstall(),
}
