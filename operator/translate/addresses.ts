import { type Problem, problem } from './problems.ts'

export interface Address {
  /** "http://host:8000": scheme, host in lower case, and the port unless it is the scheme's own. */
  readonly origin: string
  /** "/v1", without a slash at its end. */
  readonly basePath: string
}

const METADATA_HOSTS: readonly string[] = ['metadata.google.internal', 'metadata', '100.100.100.200', '[fd00:ec2::254]']
/** What the table takes. */
const MAX_HOST_CHARACTERS = 255
const MAX_PATH_CHARACTERS = 1024
/** 169.254.0.0/16, plain and as IPv4-mapped IPv6 (whose canonical spelling is hexadecimal), and fe80::/10. */
const LINK_LOCAL = /^(169\.254\.|\[::ffff:a9fe:|\[fe[89ab][0-9a-f]:)/

/**
 * Splits a backend's URL. No path, or "/" alone, means "/v1"; any other path replaces it. Literal link-local and metadata addresses are
 * refused here; what a name resolves to is checked again at connect.
 */
export function readAddress(url: string, object: string, at: string): Address | Problem {
  const parsed = URL.parse(url)
  if (parsed === null || parsed.host === '') return problem('UrlInvalid', object, at, url)
  const host = parsed.hostname.replace(/\.$/, '')
  if (METADATA_HOSTS.includes(host) || LINK_LOCAL.test(host)) return problem('AddressForbidden', object, at, host)
  const path = parsed.pathname.replace(/\/+$/, '')
  // Encoding makes a path longer than the schema saw it.
  if (parsed.host.length > MAX_HOST_CHARACTERS || path.length > MAX_PATH_CHARACTERS) return problem('UrlInvalid', object, at, url)
  return { origin: parsed.origin, basePath: path === '' ? '/v1' : path }
}
