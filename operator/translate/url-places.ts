import { type Found, leftOut, type Place } from './found.ts'
import { judgeHost, type Seeker } from './hosts.ts'
import { type Problem, problem } from './problems.ts'

/** What the table takes. */
const MAX_HOST_CHARACTERS = 255
const MAX_PATH_CHARACTERS = 1024

/** A backend's `url`: one place. No path, or "/" alone, means "/v1"; any other path replaces it. */
export function findUrl(url: string, object: string, at: string, seeker: Seeker): Found {
  const place = readUrl(url, object, at, seeker)
  if ('code' in place) return leftOut(place)
  return { places: [{ ...place, basePath: place.basePath === '' ? '/v1' : place.basePath }], problems: [] }
}

/** Splits and judges it. Literal addresses and names of Services are judged here, what other names resolve to at connect. */
export function readUrl(url: string, object: string, at: string, seeker: Seeker): Place | Problem {
  const parsed = URL.parse(url)
  if (parsed === null || parsed.host === '') return problem('UrlInvalid', object, at, url)
  const path = parsed.pathname.replace(/\/+$/, '')
  // Encoding makes a path longer than the schema saw it.
  if (parsed.host.length > MAX_HOST_CHARACTERS || path.length > MAX_PATH_CHARACTERS) return problem('UrlInvalid', object, at, url)
  const verdict = judgeHost(parsed.hostname, seeker)
  if (verdict === 'Forbidden') return problem('AddressForbidden', object, at, parsed.hostname)
  if (verdict === 'Unqualified') return problem('HostUnqualified', object, at, parsed.hostname, seeker.namespace)
  const { addresses } = verdict
  return { origin: parsed.origin, basePath: path, ...(addresses.length > 0 && { addresses }) }
}
