/**
 * The frames of the push (docs/wire.md), both ways, and their parsers. One WebSocket text message is one frame, a JSON object with `type`.
 * A field that this program does not know is ignored, an unknown `type` too: what may not be ignored needs a new table version.
 */
import { any, type Check, flag, isRecord, list, MAX_INTEGER, matching, number, object, oneOf, type TableError, text } from './checks.ts'
import { ENTRY_KINDS, type EntryKind, type EntryVersion } from './entries.ts'
import type { Ref } from './v1.ts'

export const PUSH_SUBPROTOCOL = 'llama-swap.push.v1'
export const PUSH_PATH = '/push'
/** An operator closes a frame of entries before it grows past this. One entry alone may be larger. */
export const FRAME_BYTES = 64 * 1024
/** No frame is larger, either way. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024
/** A table larger than this is not sent: the operator says so in the objects' conditions. */
export const MAX_TABLE_BYTES = 64 * 1024 * 1024
export const HEARTBEAT_MS = 2_000
/** Silence after which either side gives the connection up. Shorter than a Lease, so that a frozen leader has no proxies left. */
export const DEAD_AFTER_MS = 8_000

/** WebSocket close codes. */
export const CLOSE = {
  /** This operator does not lead; its `notLeader` frame says who does. */
  notLeader: 4001,
  /** The token has expired or no longer holds. */
  unauthenticated: 4003,
  /** The other side broke the protocol; `reason` says how. */
  protocol: 4008,
  /** The same proxy has opened a newer stream. */
  superseded: 4009,
  /** The sender goes away in order; dial again. */
  goingAway: 1001,
} as const

export type ProxyMode = 'Gateway' | 'Sidecar'

export interface TableStamp {
  readonly epoch: number
  readonly seq: number
  readonly hash: string
}

export interface EntryName {
  readonly kind: EntryKind
  readonly key: string
}

export interface SentEntry extends EntryName {
  readonly version: EntryVersion
  /** Not judged by the frame's parser: a bad value is refused by itself (`parseEntry`). */
  readonly value: unknown
}

/** An object that stayed at an older version, because its newer one could not be applied. `generation` 0 = there was none before. */
export interface Kept {
  readonly kind: EntryKind
  readonly ref: Ref
  readonly generation: number
}

export interface FrameError {
  readonly kind?: EntryKind
  /** Absent = the whole table. */
  readonly ref?: Ref
  /** JSON pointer into the entry's value. */
  readonly pointer: string
  readonly reason: 'invalid' | 'unknownKind' | 'hashMismatch' | 'tooLarge'
  readonly message: string
}

export interface EndpointReport {
  readonly id: string
  /** Absent = unknown. */
  readonly up?: boolean
  readonly inFlight: number
  readonly engine?: string
  /** `open`, `half_open`, `ramping`, `parked` or `disabled`; a reader shows what it does not know as it is. Absent = closed. */
  readonly circuit?: string
  /** Why, in a few words without an address. */
  readonly because?: string
}

export interface UsageReport {
  readonly ref: Ref
  /** Since the last report. */
  readonly requests: number
  readonly errors: number
  readonly inputTokens: number
  readonly outputTokens: number
}

/** One limit that all proxies share, as one of them counts it. Amounts in the limit's unit: requests, tokens, USD. */
export interface MeterReport {
  /** "model NAMESPACE/NAME LIMIT" or "client NAMESPACE/POLICY[/RULE] CLIENT LIMIT". */
  readonly key: string
  readonly window: 'minute' | 'day'
  /** The whole limit. */
  readonly max: number
  /** The proxy's share of it: what it uses is never more. */
  readonly cap: number
  /** In the window, what is only reserved included. */
  readonly used: number
  /** All that was asked in the last minute, admitted or not. */
  readonly wanted: number
  /** Of a request that found no room; 0 = none waits. */
  readonly need: number
}

export const METERS_PER_FRAME = 2_000

/** From operator to proxy. */
export type OperatorFrame =
  | { readonly type: 'notLeader'; readonly address?: string }
  | {
      readonly type: 'welcome'
      readonly epoch: number
      readonly tableVersion: number
      readonly mode: ProxyMode
      readonly namespace: string
      /** The leader has just made sure of its Lease: a sidecar takes even a lower epoch. */
      readonly confirmed?: boolean
      /** Names of fields that an older reader may skip without harm. */
      readonly ignorable: readonly string[]
    }
  | { readonly type: 'sendHave' }
  | { readonly type: 'change'; readonly set: readonly SentEntry[]; readonly remove: readonly EntryName[] }
  | { readonly type: 'commit'; readonly epoch: number; readonly seq: number; readonly hash: string; readonly changedAtMs: number }
  | { readonly type: 'heartbeat' }
  | {
      readonly type: 'quota'
      /** Rises with each such frame of a stream, from 1. */
      readonly number: number
      /** Proxies that may hold shares. */
      readonly fleet: number
      /** New caps by key. Below what is used: it comes down as that slides out of the window. */
      readonly caps: readonly (readonly [key: string, cap: number])[]
    }
  | { readonly type: 'goAway'; readonly reason: string; readonly retryAfterMs: number }

/** From proxy to operator. */
export type ProxyFrame =
  | {
      readonly type: 'hello'
      readonly reads: readonly number[]
      readonly mode: ProxyMode
      readonly program: string
      /** Random, new with each process. */
      readonly instance: string
      /** The newest epoch it has ever seen. */
      readonly epoch: number
      readonly table?: TableStamp
    }
  | { readonly type: 'have'; readonly entries: readonly (readonly [EntryKind, string, EntryVersion])[]; readonly last: boolean }
  | { readonly type: 'ack'; readonly epoch: number; readonly seq: number; readonly kept: readonly Kept[] }
  | {
      readonly type: 'nack'
      readonly epoch: number
      readonly seq: number
      readonly kept: readonly Kept[]
      readonly errors: readonly FrameError[]
    }
  | { readonly type: 'staleEpoch'; readonly have: number }
  | { readonly type: 'token'; readonly token: string }
  | {
      readonly type: 'report'
      readonly endpoints: readonly EndpointReport[]
      readonly gone: readonly string[]
      readonly usage: readonly UsageReport[]
    }
  | {
      readonly type: 'quota'
      /** The newest `number` of this stream that is in force; 0 = none has come. */
      readonly answered: number
      /** As the last leader said; 0 = there was none. */
      readonly fleet: number
      readonly meters: readonly MeterReport[]
      /** Keys of meters that are no more. */
      readonly gone: readonly string[]
      /** False: more of the same follows. */
      readonly complete: boolean
      /** The proxy stops: nothing more is used. */
      readonly stops?: boolean
    }
  | { readonly type: 'heartbeat' }

const count = number(0, MAX_INTEGER)
const hex = matching(/^[0-9a-f]{32}$/, '32 hex digits')
const mode = oneOf(['Gateway', 'Sidecar'])
/** Kinds are checked one entry at a time by the receiver, as one that is new must not spoil the frame. */
const kind = text(32)
const key = text(600)
const kept = list(object({ kind, ref: key, generation: count }), 10_000)
const known = { type: any }
const amount = number(0, MAX_INTEGER)

const cap: Check = (value, pointer, errors) => {
  if (!Array.isArray(value) || value.length !== 2) errors.push({ pointer, message: 'must be [key, cap]' })
  else {
    key(value[0], `${pointer}/0`, errors)
    amount(value[1], `${pointer}/1`, errors)
  }
}

const OPERATOR_FRAMES: Readonly<Record<OperatorFrame['type'], Check>> = {
  notLeader: object({ ...known, 'address?': text(512) }),
  welcome: object({
    ...known,
    epoch: count,
    tableVersion: count,
    mode,
    namespace: text(63),
    'confirmed?': flag,
    ignorable: list(text(64), 100),
  }),
  sendHave: object(known),
  change: object({
    ...known,
    set: list(object({ kind, key, version: hex, value: any })),
    remove: list(object({ kind, key })),
  }),
  commit: object({ ...known, epoch: count, seq: count, hash: hex, changedAtMs: count }),
  heartbeat: object(known),
  quota: object({ ...known, number: count, fleet: count, caps: list(cap, METERS_PER_FRAME) }),
  goAway: object({ ...known, reason: text(256), retryAfterMs: number(0, 600_000) }),
}

const have: Check = (value, pointer, errors) => {
  if (!Array.isArray(value) || value.length !== 3) errors.push({ pointer, message: 'must be [kind, key, version]' })
  else {
    kind(value[0], `${pointer}/0`, errors)
    key(value[1], `${pointer}/1`, errors)
    hex(value[2], `${pointer}/2`, errors)
  }
}

const PROXY_FRAMES: Readonly<Record<ProxyFrame['type'], Check>> = {
  hello: object({
    ...known,
    reads: list(count, 100),
    mode,
    program: text(128),
    instance: matching(/^[0-9a-zA-Z-]{1,64}$/, 'an identifier'),
    epoch: count,
    'table?': object({ epoch: count, seq: count, hash: hex }),
  }),
  have: object({ ...known, entries: list(have), last: flag }),
  ack: object({ ...known, epoch: count, seq: count, kept }),
  nack: object({
    ...known,
    epoch: count,
    seq: count,
    kept,
    errors: list(
      object({
        'kind?': kind,
        'ref?': key,
        pointer: text(1024),
        reason: oneOf(['invalid', 'unknownKind', 'hashMismatch', 'tooLarge']),
        message: text(1024),
      }),
      1000,
    ),
  }),
  staleEpoch: object({ ...known, have: count }),
  token: object({ ...known, token: text(16_384) }),
  report: object({
    ...known,
    endpoints: list(
      object({ id: text(64), 'up?': flag, inFlight: count, 'engine?': text(32), 'circuit?': text(32), 'because?': text(512) }),
    ),
    gone: list(text(64)),
    usage: list(object({ ref: key, requests: count, errors: count, inputTokens: count, outputTokens: count }), 10_000),
  }),
  quota: object({
    ...known,
    answered: count,
    fleet: count,
    meters: list(
      object({ key, window: oneOf(['minute', 'day']), max: amount, cap: amount, used: amount, wanted: amount, need: amount }),
      METERS_PER_FRAME,
    ),
    gone: list(key, METERS_PER_FRAME),
    complete: flag,
    'stops?': flag,
  }),
  heartbeat: object(known),
}

export type ParsedFrame<Frame> =
  | { readonly kind: 'frame'; readonly frame: Frame }
  /** A type of a newer program: to be ignored. */
  | { readonly kind: 'unknown'; readonly type: string }
  | { readonly kind: 'broken'; readonly message: string }

export const parseOperatorFrame = (message: string): ParsedFrame<OperatorFrame> => parse<OperatorFrame>(message, OPERATOR_FRAMES)
export const parseProxyFrame = (message: string): ParsedFrame<ProxyFrame> => parse<ProxyFrame>(message, PROXY_FRAMES)

function parse<Frame extends { readonly type: string }>(message: string, shapes: Readonly<Record<string, Check>>): ParsedFrame<Frame> {
  const value = readJson(message)
  if (!isRecord(value) || typeof value['type'] !== 'string') return { kind: 'broken', message: 'a frame is a JSON object with a type' }
  const { type } = value
  const shape = Object.hasOwn(shapes, type) ? shapes[type] : undefined
  if (shape === undefined) return { kind: 'unknown', type: type.slice(0, 64) }
  const errors: TableError[] = []
  shape(value, '', errors)
  const wrong = errors.find((error) => error.message !== 'is not known')
  if (wrong !== undefined) return { kind: 'broken', message: `${type} ${wrong.pointer}: ${wrong.message}` }
  return { kind: 'frame', frame: value as Frame & Record<string, unknown> }
}

function readJson(message: string): unknown {
  try {
    return JSON.parse(message)
  } catch {
    return undefined
  }
}

export const isEntryKind = (value: string): value is EntryKind => ENTRY_KINDS.some((one) => one === value)
