import type { TableError } from './checks.ts'
import { parseTable } from './parse.ts'
import type { ClientKey, Credential, Model, Policy } from './v1.ts'
import { type AddressRules, type EndpointSet, type RoutingTable, TABLE_VERSION, type TokenIssuer } from './v1.ts'

/** In the order in which an operator sends what is new: what is pointed at comes before what points. Removals go the other way. */
export const ENTRY_KINDS = ['addresses', 'tokenIssuer', 'credential', 'clientKey', 'endpoints', 'model', 'policy'] as const
export type EntryKind = (typeof ENTRY_KINDS)[number]

/** One part of a table that travels, is replaced and is refused by itself. `key` is unique within its kind. */
export type Entry =
  | { readonly kind: 'addresses'; readonly key: string; readonly value: AddressRules }
  | { readonly kind: 'tokenIssuer'; readonly key: string; readonly value: TokenIssuer }
  | { readonly kind: 'credential'; readonly key: string; readonly value: Credential }
  | { readonly kind: 'clientKey'; readonly key: string; readonly value: ClientKey }
  | { readonly kind: 'endpoints'; readonly key: string; readonly value: EndpointSet }
  | { readonly kind: 'model'; readonly key: string; readonly value: Model }
  | { readonly kind: 'policy'; readonly key: string; readonly value: Policy }

const ADDRESSES_KEY = 'installation'

/** A table as its entries. Values keep their identity, so that an unchanged one is found unchanged without being read. */
export function tableEntries(table: RoutingTable): readonly Entry[] {
  return [
    ...(table.addresses === undefined ? [] : [{ kind: 'addresses', key: ADDRESSES_KEY, value: table.addresses } as const]),
    ...(table.tokenIssuers ?? []).map((value) => ({ kind: 'tokenIssuer', key: value.issuer, value }) as const),
    ...table.credentials.map((value) => ({ kind: 'credential', key: value.id, value }) as const),
    ...table.clientKeys.map((value) => ({ kind: 'clientKey', key: value.sha256, value }) as const),
    ...table.endpointSets.map((value) => ({ kind: 'endpoints', key: `${value.model} ${value.backend}`, value }) as const),
    ...table.models.map((value) => ({ kind: 'model', key: value.ref, value }) as const),
    ...table.policies.map((value) => ({ kind: 'policy', key: value.ref, value }) as const),
  ]
}

/** The table that these entries make. Their order means nothing: age decides who comes first (`resolveName`). */
export function tableOf(entries: Iterable<Entry>, { epoch, seq }: { epoch: number; seq: number }): RoutingTable {
  const of = {
    addresses: [] as AddressRules[],
    tokenIssuer: [] as TokenIssuer[],
    credential: [] as Credential[],
    clientKey: [] as ClientKey[],
    endpoints: [] as EndpointSet[],
    model: [] as Model[],
    policy: [] as Policy[],
  }
  const lists: Readonly<Record<EntryKind, unknown[]>> = of
  for (const { kind, value } of entries) lists[kind].push(value)
  const [addresses] = of.addresses
  return {
    version: TABLE_VERSION,
    epoch,
    seq,
    models: of.model,
    policies: of.policy,
    endpointSets: of.endpoints,
    credentials: of.credential,
    clientKeys: of.clientKey,
    ...(of.tokenIssuer.length > 0 && { tokenIssuers: of.tokenIssuer }),
    ...(addresses !== undefined && { addresses }),
  }
}

const EMPTY = { version: TABLE_VERSION, epoch: 0, seq: 0, models: [], policies: [], endpointSets: [], credentials: [], clientKeys: [] }
const LIST_OF: Readonly<Record<EntryKind, string>> = {
  addresses: 'addresses',
  tokenIssuer: 'tokenIssuers',
  credential: 'credentials',
  clientKey: 'clientKeys',
  endpoints: 'endpointSets',
  model: 'models',
  policy: 'policies',
}

/**
 * Turns one entry's value into its type, or says what is wrong with pointers into the value. Unknown fields are refused, as one of them
 * could be what takes rights away, but for those the writer has called `ignorable`: they are dropped.
 */
export function parseEntry(
  kind: EntryKind,
  key: string,
  value: unknown,
  ignorable: ReadonlySet<string> = new Set(),
): { readonly entry: Entry } | { readonly errors: readonly TableError[] } {
  const first = parseOne(kind, value)
  const parsed =
    'errors' in first && first.errors.every((error) => isIgnorable(error, ignorable))
      ? parseOne(kind, without(value, new Set(first.errors.map(({ pointer }) => pointer))))
      : first
  if ('errors' in parsed) return parsed
  return parsed.entry.key === key
    ? parsed
    : { errors: [{ pointer: '', message: `is the ${kind} "${parsed.entry.key}", not "${key}" as it was announced` }] }
}

const isIgnorable = ({ pointer, message }: TableError, ignorable: ReadonlySet<string>): boolean =>
  message === 'is not known' && ignorable.has(pointer.slice(pointer.lastIndexOf('/') + 1))

function parseOne(kind: EntryKind, value: unknown): { entry: Entry } | { errors: readonly TableError[] } {
  const list = LIST_OF[kind]
  const parsed = parseTable({ ...EMPTY, [list]: kind === 'addresses' ? value : [value] })
  const prefix = kind === 'addresses' ? `/${list}` : `/${list}/0`
  if ('errors' in parsed)
    return { errors: parsed.errors.map(({ pointer, message }) => ({ pointer: pointer.slice(prefix.length), message })) }
  const [entry] = tableEntries(parsed.table)
  return entry === undefined ? { errors: [{ pointer: '', message: 'is empty' }] } : { entry }
}

function without(value: unknown, pointers: ReadonlySet<string>, at = ''): unknown {
  if (Array.isArray(value)) return value.map((item, index) => without(item, pointers, `${at}/${index}`))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) => {
      const pointer = `${at}/${name}`
      return pointers.has(pointer) ? [] : [[name, without(inner, pointers, pointer)]]
    }),
  )
}

/** 128 bits, as 32 lower-case hex digits: what an entry's writer computed over kind, key and value. */
export type EntryVersion = string

const MODULUS = 1n << 128n

/** The hash of a table: the sum of its entries' versions, so that it is kept up to date at the cost of a change, not of the table. */
export class TableHash {
  #sum = 0n

  add(version: EntryVersion): void {
    this.#sum = (this.#sum + BigInt(`0x${version}`)) % MODULUS
  }

  remove(version: EntryVersion): void {
    this.#sum = (this.#sum + MODULUS - BigInt(`0x${version}`)) % MODULUS
  }

  get hex(): string {
    return this.#sum.toString(16).padStart(32, '0')
  }
}
