import { afterAll, beforeAll, test, vi } from 'vitest'

export { afterAll, beforeAll, test }

export const timers = {
  fake: () => vi.useFakeTimers(),
  advance: (milliseconds) => vi.advanceTimersByTime(milliseconds),
  restore: () => vi.useRealTimers(),
}

export function loadAgain() {
  vi.resetModules()
  return import('@locket/native')
}
