import type { CelInput } from '../../routing-table/cel/cel-input.ts'
import type { Facts } from '../input.ts'

/** Carry credentials: an expression has no use for them, and what it compares stands in a resource that many may read. */
const HIDDEN: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'x-api-key', 'api-key', 'cookie'])
const NOTHING = {}
/** CEL knows no "unknown" number. */
const UNKNOWN = -1n

/** What expressions see of one request: each part is made when the first of them asks for it. */
export class ExpressionView implements CelInput {
  readonly #facts: Facts
  #request: CelInput['request'] | undefined
  #client: CelInput['client'] | undefined
  #headers: CelInput['headers'] | undefined
  #shown: CelInput['facts'] | undefined

  constructor(facts: Facts) {
    this.#facts = facts
  }

  get request(): CelInput['request'] {
    this.#request ??= this.#facts.readBody?.() ?? NOTHING
    return this.#request
  }

  get client(): CelInput['client'] {
    const { name = '', namespace, serviceAccount = '' } = this.#facts.client
    this.#client ??= { name, namespace, serviceAccount }
    return this.#client
  }

  get headers(): CelInput['headers'] {
    this.#headers ??= visible(this.#facts.headers)
    return this.#headers
  }

  get facts(): CelInput['facts'] {
    this.#shown ??= shown(this.#facts)
    return this.#shown
  }
}

const shown = ({ route, path, stream, promptTokens, maxOutputTokens, needs }: Facts): CelInput['facts'] => ({
  route,
  path,
  stream,
  promptTokens: BigInt(Math.round(promptTokens)),
  maxOutputTokens: maxOutputTokens === undefined ? UNKNOWN : BigInt(Math.round(maxOutputTokens)),
  capabilities: needs,
})

function visible(headers: Facts['headers']): Readonly<Record<string, string>> {
  const seen: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const first = typeof value === 'string' ? value : value?.[0]
    if (first !== undefined && !HIDDEN.has(name)) seen[name] = first
  }
  return seen
}
