/** Why a credential is left out, and until when. `disabled` = it was refused: a human must mend it; re-tested slowly. */
export interface ParkedCredential {
  readonly kind: 'rate_limit' | 'disabled'
  readonly sinceMs: number
  readonly untilMs: number
  /** For people: no address, nothing of the credential. */
  readonly because: string
}

/** From one re-test of a disabled credential to the next, if nobody says how the first one ended. */
const RETEST_MS = 60_000

/**
 * Which of a backend's credentials to send: in turn, those that were refused or rate limited left out until they recover. Their own state,
 * apart from their endpoints': one that is out does not take the endpoint out while another works. At most one entry a credential.
 */
export class CredentialBook {
  readonly #parked = new Map<string, ParkedCredential>()
  /** By the backend's first credential: a turn of one backend must not use up another's. */
  readonly #turns = new Map<string, number>()

  /** Undefined = the backend has none. When all are out, the one that recovers soonest. A disabled one whose time has come is sent once. */
  pick(ids: readonly string[], nowMs: number): string | undefined {
    const picked = ids.length <= 1 ? ids[0] : this.#turn(ids, nowMs)
    const parked = picked === undefined ? undefined : this.#parked.get(picked)
    if (picked !== undefined && parked?.kind === 'disabled' && parked.untilMs <= nowMs)
      this.#parked.set(picked, { ...parked, untilMs: nowMs + RETEST_MS })
    return picked
  }

  /** Undefined = another of the backend's may be tried right now; else the one that recovers soonest. No time is ever shortened. */
  park(id: string, ids: readonly string[], parked: ParkedCredential): ParkedCredential | undefined {
    const before = this.#parked.get(id)
    const untilMs = Math.max(parked.untilMs, before?.untilMs ?? 0)
    this.#parked.set(id, before?.kind === 'disabled' ? { ...before, sinceMs: parked.sinceMs, untilMs } : { ...parked, untilMs })
    const all = ids.map((other) => this.#parked.get(other))
    if (ids.some((other, at) => other !== id && (all[at]?.untilMs ?? 0) <= parked.sinceMs)) return undefined
    return all.reduce((soonest, other) => ((other?.untilMs ?? 0) < (soonest?.untilMs ?? 0) ? other : soonest))
  }

  /** An answer to a request that began before the credential was left out says nothing of now. */
  succeeded(id: string, startedAtMs: number): void {
    if (this.#parked.size > 0 && (this.#parked.get(id)?.sinceMs ?? Number.POSITIVE_INFINITY) <= startedAtMs) this.#parked.delete(id)
  }

  /** Undefined = it is in use. One whose limit has reset is; a disabled one is not, until it was answered. */
  parked(id: string, nowMs: number): ParkedCredential | undefined {
    const parked = this.#parked.get(id)
    return parked?.kind === 'rate_limit' && parked.untilMs <= nowMs ? undefined : parked
  }

  keep(known: (id: string) => boolean): void {
    for (const map of [this.#parked, this.#turns]) for (const id of map.keys()) if (!known(id)) map.delete(id)
  }

  #turn(ids: readonly string[], nowMs: number): string | undefined {
    const untilMs = (id: string): number => this.#parked.get(id)?.untilMs ?? 0
    const warm = ids.filter((id) => untilMs(id) <= nowMs)
    if (warm.length > 0) return warm[this.#next(ids) % warm.length]
    return ids.reduce((soonest, id) => (untilMs(id) < untilMs(soonest) ? id : soonest))
  }

  #next([first = '']: readonly string[]): number {
    const turn = this.#turns.get(first) ?? 0
    this.#turns.set(first, turn + 1)
    return turn
  }
}
