import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'

/** One address of an operator that may be dialled. */
export interface OperatorAddress {
  readonly url: URL
  /** The IP address to connect to; TLS checks the name in `url` all the same. */
  readonly ip: string
  readonly family: 4 | 6
}

export type Resolve = (host: string) => Promise<readonly LookupAddress[]>

export interface Resolved {
  readonly addresses: readonly OperatorAddress[]
  /** Names that could not be resolved, and why. */
  readonly failures: readonly { readonly url: URL; readonly message: string }[]
}

const MAX_ADDRESSES = 32

/** Every address behind the URLs, in their order: the name of a headless Service has one for each operator. Never rejects. */
export async function resolveOperators(urls: readonly URL[], resolve: Resolve): Promise<Resolved> {
  const looked = await Promise.all(urls.map((url) => addressesOf(url, resolve)))
  return {
    addresses: looked.flatMap(({ addresses }) => addresses).slice(0, MAX_ADDRESSES),
    failures: looked.flatMap(({ failures }) => failures),
  }
}

async function addressesOf(url: URL, resolve: Resolve): Promise<Resolved> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const family = isIP(host)
  if (family !== 0) return { addresses: [{ url, ip: host, family: family === 6 ? 6 : 4 }], failures: [] }
  try {
    const found = await resolve(host)
    return { addresses: found.map((one) => ({ url, ip: one.address, family: one.family === 6 ? 6 : 4 })), failures: [] }
  } catch (error) {
    return { addresses: [], failures: [{ url, message: error instanceof Error ? error.message : String(error) }] }
  }
}

/** For people: the URL, and the address where the name has been resolved. */
export const shownAddress = ({ url, ip }: OperatorAddress): string =>
  url.hostname.includes(ip) ? `${url.protocol}//${url.host}` : `${url.protocol}//${url.host} (${ip})`

/** Whether a standby's word of who leads means this address. */
export const isNamed = ({ url, ip }: OperatorAddress, leader: string): boolean => {
  const port = url.port || (url.protocol === 'wss:' ? '443' : '80')
  const name = leader.replace(/^wss?:\/\//, '').replace(/\/.*$/, '')
  return [ip, `${ip}:${port}`, `[${ip}]:${port}`].includes(name) || (url.host === name && url.hostname === ip)
}
