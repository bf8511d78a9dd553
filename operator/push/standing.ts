import type { FrameError, Kept, ProxyFrame } from '../../proxy/routing-table/frames.ts'

export type Answer = Extract<ProxyFrame, { type: 'ack' | 'nack' }>

const nameOf = ({ kind, ref }: { readonly kind?: string; readonly ref?: string }): string => `${kind ?? ''} ${ref ?? ''}`

/** What one proxy has said of the commits it got: how far it is, and what it could not take. */
export class Standing {
  #ackedSeq = 0
  #kept: ReadonlyMap<string, Kept> = new Map()
  #errors: ReadonlyMap<string, FrameError> = new Map()
  #tableError: FrameError | undefined

  /** The newest commit that it has taken, entries it refused aside; 0 = none. */
  get ackedSeq(): number {
    return this.#ackedSeq
  }

  /** Why it has refused the newest table as a whole. */
  get tableError(): FrameError | undefined {
    return this.#tableError
  }

  /** "kind ref" → what it kept of an older version, and why if it said so. */
  get rejected(): ReadonlyMap<string, { readonly kept: Kept | undefined; readonly error: FrameError | undefined }> {
    const names = new Set([...this.#kept.keys(), ...this.#errors.keys()])
    return new Map([...names].map((name) => [name, { kept: this.#kept.get(name), error: this.#errors.get(name) }]))
  }

  get hasRejected(): boolean {
    return this.#kept.size > 0 || this.#errors.size > 0
  }

  /** An error is remembered for as long as its object stays at an older version. */
  take(answer: Answer): void {
    const errors = answer.type === 'nack' ? answer.errors : []
    this.#tableError = wholeTable(answer)
    if (this.#tableError !== undefined) return
    this.#ackedSeq = Math.max(this.#ackedSeq, answer.seq)
    this.#kept = new Map(answer.kept.map((kept) => [nameOf(kept), kept]))
    const still = [...this.#errors].filter(([name]) => this.#kept.has(name))
    this.#errors = new Map([...still, ...errors.map((error) => [nameOf(error), error] as const)])
  }
}

/** The error that concerns no single entry: nothing of the commit has been taken. */
export function wholeTable(answer: Answer): FrameError | undefined {
  return answer.type === 'nack' ? answer.errors.find(({ ref }) => ref === undefined) : undefined
}
