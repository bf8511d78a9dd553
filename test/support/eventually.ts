import { setTimeout as delay } from 'node:timers/promises'

const EVERY_MS = 25

/** Tries until it does not reject; after `withinMs` (15 s if absent) rejects as the last try did. For what no event tells. */
export async function eventually<T>(attempt: () => Promise<T>, withinMs = 15_000): Promise<T> {
  const deadlineMs = performance.now() + withinMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
    }
    await delay(EVERY_MS)
  }
}
