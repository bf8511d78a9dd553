/** Which of a backend's credentials to send: in turn, those that were refused or rate limited left out until they recover. */
export class CredentialBook {
  readonly #coolUntilMs = new Map<string, number>()
  #turn = 0

  /** Undefined = the backend has none. When all are cooling, the one that recovers soonest. */
  pick(ids: readonly string[], nowMs: number): string | undefined {
    if (ids.length <= 1) return ids[0]
    const warm = ids.filter((id) => (this.#coolUntilMs.get(id) ?? 0) <= nowMs)
    if (warm.length > 0) return warm[this.#turn++ % warm.length]
    return ids.reduce((soonest, id) => ((this.#coolUntilMs.get(id) ?? 0) < (this.#coolUntilMs.get(soonest) ?? 0) ? id : soonest))
  }

  /** Parks a credential; true if another of the backend's may be tried right now. */
  park(id: string, ids: readonly string[], untilMs: number, nowMs: number): boolean {
    this.#coolUntilMs.set(id, Math.max(untilMs, this.#coolUntilMs.get(id) ?? 0))
    return ids.some((other) => other !== id && (this.#coolUntilMs.get(other) ?? 0) <= nowMs)
  }

  keep(known: (id: string) => boolean): void {
    for (const id of this.#coolUntilMs.keys()) if (!known(id)) this.#coolUntilMs.delete(id)
  }
}
