/**
 * Takes routing tables. In: JSON from a file, or (in standalone) straight from translate; or entries that an operator pushes
 * (`push-client.ts`: docs/wire.md). Out: the table in force, swapped whole; what does not parse is refused with its reasons and the last
 * good one stays, in memory and, of a pushed table, on disk. It decides nothing about requests and knows no Kubernetes.
 */
import { type CompiledTable, compileTable, parseTable, type RoutingTable } from '../routing-table/index.ts'

export type Received =
  | { readonly kind: 'applied'; readonly table: CompiledTable }
  | { readonly kind: 'refused'; readonly errors: readonly string[] }

const EMPTY: RoutingTable = { version: 1, epoch: 0, seq: 0, models: [], policies: [], endpointSets: [], credentials: [], clientKeys: [] }
const MAX_ERRORS = 20

export class Receiver {
  #current = compileTable(EMPTY)
  #received = false
  readonly #onSwap: (table: CompiledTable) => void
  readonly #onRefused: (errors: readonly string[]) => void

  constructor(on: { swap: (table: CompiledTable) => void; refused: (errors: readonly string[]) => void }) {
    this.#onSwap = on.swap
    this.#onRefused = on.refused
  }

  /** An empty table until the first has come: then `ready` is false. */
  get current(): CompiledTable {
    return this.#current
  }

  /** A table has been taken, an empty one included. Never turns false again. */
  get ready(): boolean {
    return this.#received
  }

  take(value: unknown): Received {
    const parsed = parseTable(value)
    if ('errors' in parsed) {
      const errors = parsed.errors.slice(0, MAX_ERRORS).map(({ pointer, message }) => `${pointer}: ${message}`)
      this.#onRefused(errors)
      return { kind: 'refused', errors }
    }
    return { kind: 'applied', table: this.apply(parsed.table) }
  }

  /** Puts a table in force whose parts have been parsed already. */
  apply(table: RoutingTable): CompiledTable {
    this.#current = compileTable(table, this.#current)
    this.#received = true
    this.#onSwap(this.#current)
    return this.#current
  }

  refuse(reason: string): void {
    this.#onRefused([reason])
  }
}
