import { afterAll, beforeAll, jest, test } from '@jest/globals'

export { afterAll, beforeAll, test }

export const timers = {
  fake: () => jest.useFakeTimers(),
  advance: (milliseconds) => jest.advanceTimersByTime(milliseconds),
  restore: () => jest.useRealTimers(),
}

export function loadAgain() {
  jest.resetModules()
  return jest.requireActual('@locket/native')
}
