import type { Endpoint, EndpointSet } from '../../proxy/routing-table/index.ts'
import { opaqueId } from './opaque-id.ts'
import { byText } from './precedence.ts'
import type { Problem } from './problems.ts'

/** Where an engine is: an endpoint without the name that its backend gives it. */
export type Place = Omit<Endpoint, 'id'>

/** What became of a backend's service, pods or url. `places` undefined = the backend cannot be used and is left out. */
export interface Found {
  readonly places: readonly Place[] | undefined
  readonly lastResort?: Place | undefined
  readonly problems: readonly Problem[]
}

export const leftOut = (problem: Problem): Found => ({ places: undefined, problems: [problem] })

/** What the table takes. */
const MAX_ENDPOINTS = 10_000

/** Each place once, in an order that does not depend on who came first. */
export function endpointSet(model: string, backend: string, places: readonly Place[], lastResort: Place | undefined): EndpointSet {
  const named = (place: Place): Endpoint => ({ id: opaqueId(`${model} ${backend} ${place.origin}${place.basePath}`), ...place })
  const once = [...new Map(places.map((place) => [place.origin, place])).values()].sort((a, b) => byText(a.origin, b.origin))
  return {
    model,
    backend,
    endpoints: once.slice(0, MAX_ENDPOINTS).map(named),
    ...(lastResort !== undefined && { lastResort: named(lastResort) }),
  }
}

const DEFAULT_PORT = { HTTP: 80, HTTPS: 443 } as const

/** `address` is an IP address. */
export function placeAt(address: string, port: number, { scheme, basePath }: { scheme: 'HTTP' | 'HTTPS'; basePath: string }): Place {
  const host = address.includes(':') ? `[${address}]` : address
  const origin = `${scheme.toLowerCase()}://${host}${port === DEFAULT_PORT[scheme] ? '' : `:${port}`}`
  return { origin, basePath: trimmed(basePath) }
}

/** Dots and double slashes as a URL has them, no slash at its end. */
const trimmed = (basePath: string): string => (URL.parse(`http://host${basePath}`)?.pathname ?? '').replace(/\/+$/, '')
