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

/** USD per million tokens of input, cached input and output. */
interface Row {
  readonly i?: number
  readonly c?: number
  readonly o?: number
}

interface Provider {
  readonly id: string
  /** Regular expression of the addresses of its API. */
  readonly api: string
  readonly models: readonly { readonly id: string; readonly m: Match; readonly p: Row; readonly t?: readonly (readonly [number, Row])[] }[]
}

const BY_ENGINE: Readonly<Record<string, string>> = { OpenAI: 'openai', Anthropic: 'anthropic' }

let providers: readonly Provider[] | undefined

/** What the catalogue says of a commercial API: known by its address, else by its engine. Undefined = it is none, or has no such model. */
export function cataloguePricing({ url, engine }: Pick<BackendSpec, 'url' | 'engine'>, upstreamModel: string): Pricing | undefined {
  const byEngine = BY_ENGINE[engine]
  if (url === undefined || (byEngine === undefined && !url.startsWith('https://'))) return undefined
  providers ??= readCatalogue()
  const provider = providers.find(({ api }) => new RegExp(`^(?:${api})`).test(url)) ?? providers.find(({ id }) => id === byEngine)
  const model = provider?.models.find(({ m }) => matches(m, upstreamModel))
  if (model === undefined) return undefined
  const tiers = model.t?.map(([aboveInputTokens, row]) => ({ aboveInputTokens, ...pricesIn(row) }))
  return { ...pricesIn(model.p), ...setFields({ tiers }), priceSource: 'Catalogue' }
}

const readCatalogue = (): readonly Provider[] => JSON.parse(CATALOGUE_JSON)

const pricesIn = ({ i, c, o }: Row): Pricing =>
  setFields({ inputPerMillionTokens: i, cachedInputPerMillionTokens: c, outputPerMillionTokens: o })

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
