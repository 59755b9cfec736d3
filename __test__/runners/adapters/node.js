import { after, before, mock, test as nodeTest } from 'node:test'

export { loadAgain } from './without-cache.js'
export { after as afterAll, before as beforeAll }

export const test = (name, task, timeout) => nodeTest(name, { timeout }, task)

export const timers = {
  fake: () => mock.timers.enable(),
  advance: (milliseconds) => mock.timers.tick(milliseconds),
  restore: () => mock.timers.reset(),
}
