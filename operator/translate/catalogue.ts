import type { Pricing } from '../../proxy/routing-table/index.ts'
import type { Backend as BackendSpec } from '../resources/crds.generated.ts'
import { CATALOGUE_JSON } from './price-catalogue.generated.ts'
import { setFields } from './set-fields.ts'

type Match =
  | { readonly or: readonly Match[] }
  | { readonly and: readonly Match[] }
  | { readonly equals: string }
  | { readonly starts_with: string }
  | { readonly ends_with: string }
  | { readonly contains: string }
  | { readonly regex: string }

/** USD per million tokens of input, cached input, input that is put into a cache, and output. */
interface Row {
  readonly i?: number
  readonly c?: number
  readonly w?: number
  readonly o?: number
}

interface ModelRow {
  readonly id: string
  readonly m: Match
  readonly p: Row
  /** By the input above which they hold. */
  readonly t?: readonly (readonly [number, Row])[]
}

interface Provider {
  readonly id: string
  /** Regular expression of the addresses of its API. */
  readonly api: string
  /** Providers whose models it sells at their prices. */
  readonly f?: readonly string[]
  readonly models: readonly ModelRow[]
}

const BY_ENGINE: Readonly<Record<string, string>> = { OpenAI: 'openai', Anthropic: 'anthropic' }

interface Catalogue {
  readonly byId: ReadonlyMap<string, Provider>
  readonly byAddress: readonly (readonly [RegExp, Provider])[]
}

let catalogue: Catalogue | undefined

/**
 * What the catalogue says of a commercial API: known by its address, else by its engine. Undefined = it is none, or has no such model.
 * The prices are those of the day that stands in the catalogue; whoever knows better declares them.
 */
export function cataloguePricing({ url, engine }: Pick<BackendSpec, 'url' | 'engine'>, upstreamModel: string): Pricing | undefined {
  const byEngine = BY_ENGINE[engine]
  if (url === undefined || (byEngine === undefined && !url.startsWith('https://'))) return undefined
  catalogue ??= readCatalogue()
  const provider = catalogue.byAddress.find(([address]) => address.test(url))?.[1] ?? catalogue.byId.get(byEngine ?? '')
  const model = provider && (modelOf(provider, upstreamModel) ?? modelOf(provider, withDashes(upstreamModel)))
  if (model === undefined) return undefined
  const tiers = model.t?.map(([aboveInputTokens, row]) => ({ aboveInputTokens, ...pricesIn(row) }))
  return { ...pricesIn(model.p), ...setFields({ tiers }), priceSource: 'Catalogue' }
}

function readCatalogue(): Catalogue {
  const providers: readonly Provider[] = JSON.parse(CATALOGUE_JSON)
  return {
    byId: new Map(providers.map((provider) => [provider.id, provider])),
    byAddress: providers.map((provider) => [new RegExp(`^(?:${provider.api})`), provider]),
  }
}

function modelOf({ models, f = [] }: Provider, name: string): ModelRow | undefined {
  const own = models.find(({ m }) => matches(m, name))
  if (own !== undefined) return own
  for (const other of f.flatMap((id) => catalogue?.byId.get(id) ?? [])) {
    const found = other.models.find(({ m }) => matches(m, name))
    if (found !== undefined) return found
  }
  return undefined
}

/** "model-20260115" is listed as "model-2026-01-15". */
const withDashes = (name: string): string => name.replace(/-(20\d{2})(\d{2})(\d{2})(?=-|:|$)/g, '-$1-$2-$3')

const pricesIn = ({ i, c, w, o }: Row): Pricing =>
  setFields({ inputPerMillionTokens: i, cachedInputPerMillionTokens: c, cacheWritePerMillionTokens: w, outputPerMillionTokens: o })

/** As the catalogue's own library compares names: patterns as they are, all else in any case. */
function matches(match: Match, name: string): boolean {
  if ('or' in match) return match.or.some((one) => matches(one, name))
  if ('and' in match) return match.and.every((one) => matches(one, name))
  if ('regex' in match) return new RegExp(match.regex).test(name)
  const lower = name.toLowerCase()
  if ('equals' in match) return lower === match.equals.toLowerCase()
  if ('starts_with' in match) return lower.startsWith(match.starts_with.toLowerCase())
  if ('ends_with' in match) return lower.endsWith(match.ends_with.toLowerCase())
  return lower.includes(match.contains.toLowerCase())
}
