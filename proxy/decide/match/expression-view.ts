import type { CelInput } from '../../routing-table/cel/cel.ts'
import type { Facts } from '../input.ts'

/** Carry credentials: an expression has no use for them, and what it compares stands in a resource that many may read. */
const HIDDEN: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'x-api-key', 'api-key', 'cookie'])
const NOTHING = {}
/** CEL knows no "unknown" number. */
const UNKNOWN = -1n

/** What expressions see of one request: made when the first of them asks. */
export class ExpressionView {
  readonly #facts: Facts
  #input: CelInput | undefined

  constructor(facts: Facts) {
    this.#facts = facts
  }

  input(): CelInput {
    this.#input ??= inputOf(this.#facts)
    return this.#input
  }
}

function inputOf({ route, path, stream, promptTokens, maxOutputTokens, needs, headers, client, readBody }: Facts): CelInput {
  return {
    request: readBody?.() ?? NOTHING,
    client: { name: client.name ?? '', namespace: client.namespace, serviceAccount: client.serviceAccount ?? '' },
    headers: visible(headers),
    facts: {
      route,
      path,
      stream,
      promptTokens: BigInt(Math.round(promptTokens)),
      maxOutputTokens: maxOutputTokens === undefined ? UNKNOWN : BigInt(Math.round(maxOutputTokens)),
      capabilities: needs,
    },
  }
}

function visible(headers: Facts['headers']): Readonly<Record<string, string>> {
  const seen: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const first = typeof value === 'string' ? value : value?.[0]
    if (first !== undefined && !HIDDEN.has(name)) seen[name] = first
  }
  return seen
}
