/** Which of a backend's credentials to send: in turn, those that were refused or rate limited left out until they recover. */
export class CredentialBook {
  readonly #coolUntilMs = new Map<string, number>()
  /** By the backend's first credential: a turn of one backend must not use up another's. */
  readonly #turns = new Map<string, number>()

  /** Undefined = the backend has none. When all are cooling, the one that recovers soonest. */
  pick(ids: readonly string[], nowMs: number): string | undefined {
    if (ids.length <= 1) return ids[0]
    const warm = ids.filter((id) => (this.#coolUntilMs.get(id) ?? 0) <= nowMs)
    if (warm.length > 0) return warm[this.#turnOf(ids) % warm.length]
    return ids.reduce((soonest, id) => ((this.#coolUntilMs.get(id) ?? 0) < (this.#coolUntilMs.get(soonest) ?? 0) ? id : soonest))
  }

  /** Parks a credential; true if another of the backend's may be tried right now. */
  park(id: string, ids: readonly string[], untilMs: number, nowMs: number): boolean {
    this.#coolUntilMs.set(id, Math.max(untilMs, this.#coolUntilMs.get(id) ?? 0))
    return ids.some((other) => other !== id && (this.#coolUntilMs.get(other) ?? 0) <= nowMs)
  }

  keep(known: (id: string) => boolean): void {
    for (const map of [this.#coolUntilMs, this.#turns]) for (const id of map.keys()) if (!known(id)) map.delete(id)
  }

  #turnOf([first = '']: readonly string[]): number {
    const turn = this.#turns.get(first) ?? 0
    this.#turns.set(first, turn + 1)
    return turn
  }
}
