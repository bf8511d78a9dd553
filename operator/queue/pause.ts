import { setTimeout as sleep } from 'node:timers/promises'

/** A wait that can be cut short. To wake while nobody waits cuts the next wait: nothing that happens during the work between two is missed. */
export class Pause {
  #wake = new AbortController()

  wake(): void {
    this.#wake.abort()
  }

  /** Resolves after `ms`, when woken, or when `signal` aborts. Never rejects. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    const ends = AbortSignal.any([signal, this.#wake.signal])
    await sleep(ms, undefined, { signal: ends }).catch(() => undefined)
    this.#wake = new AbortController()
  }
}
