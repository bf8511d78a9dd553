/** What a benchmark and its processes of proxies tell each other, as JSON over the channel of `fork`. */

export interface ProxyFiles {
  readonly mode: 'Gateway' | 'Sidecar'
  readonly tokenFile: string
}

/** What a change does to a model of the table: it is effective at a proxy once its table in force says so. */
export interface Effect {
  readonly id: number
  readonly ref: string
  readonly weight?: number
  readonly origin?: string
}

export type ToProxies =
  /** `models` and `endpoints` (last resorts included): a proxy that has as many has it all. */
  | {
      readonly what: 'start'
      readonly operator: string
      readonly caFile: string
      readonly proxies: readonly ProxyFiles[]
      readonly models: number
      readonly endpoints: number
    }
  | { readonly what: 'expect'; readonly effects: readonly Effect[] }

export type FromProxies =
  /** All proxies of this process have the whole table since `atMs`. */
  | { readonly what: 'synced'; readonly atMs: number }
  | { readonly what: 'expecting' }
  /** The last proxy of this process swapped at `atMs`. */
  | { readonly what: 'effective'; readonly id: number; readonly atMs: number }

export const parseToProxies = (message: unknown): ToProxies => JSON.parse(String(message))
export const parseFromProxies = (message: unknown): FromProxies => JSON.parse(String(message))

/** Milliseconds of a clock that all processes of this machine share. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6
