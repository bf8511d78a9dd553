import { type LookupAddress, type LookupOptions, lookup as resolveName } from 'node:dns'
import { BlockList, isIP, isIPv6 } from 'node:net'
import { readIp, spaceOf } from '../routing-table/address-space.ts'
import type { RoutingTable } from '../routing-table/v1.ts'

/** Where credentials and requests must never go: link-local (cloud metadata among it) and the metadata address of IPv6 clouds. */
const ALWAYS_DENIED = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254/128'] as const

type Callback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void
/** As `dns.lookup` with `all`. */
type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

interface Lists {
  readonly allowed: BlockList
  readonly denied: BlockList
}

/**
 * Decided by the installation, by flags and by the table together, and enforced on every resolved address at connect, so that DNS rebinding
 * changes nothing. Of the table's rules those of the last one applied hold, for new connections.
 */
export class AddressPolicy {
  readonly #flags: Lists
  readonly #resolve: Resolve
  #table: Lists
  #rules = 'null'
  #privateDenied = false
  /** Host → private addresses that the table vouches for. */
  #vouched: ReadonlyMap<string, ReadonlySet<string>> = new Map()

  /** CIDRs; `allow` wins over `deny`. Throws on what is no CIDR. */
  constructor({ allow, deny }: { allow: readonly string[]; deny: readonly string[] }, resolve: Resolve = resolveName) {
    this.#flags = listsOf(allow, [...ALWAYS_DENIED, ...deny])
    this.#table = listsOf([], [])
    this.#resolve = resolve
  }

  /** Takes over the rules of a table. True: they differ from those before, so connections that are open may be to what is denied now. */
  apply({ addresses, endpointSets }: Pick<RoutingTable, 'addresses' | 'endpointSets'>): boolean {
    this.#vouched = vouchedIn(endpointSets)
    const rules = JSON.stringify(addresses ?? null)
    if (rules === this.#rules) return false
    this.#rules = rules
    this.#table = listsOf(addresses?.allow ?? [], addresses?.deny ?? [])
    this.#privateDenied = addresses?.private === 'Deny'
    return true
  }

  /** An address that the table names itself was judged by who made the table; `host` is the name that an address was resolved from. */
  permits(address: string, host?: string): boolean {
    const lists = [this.#flags, this.#table]
    if (lists.some(({ allowed }) => isIn(allowed, address))) return true
    if (lists.some(({ denied }) => isIn(denied, address))) return false
    if (!this.#privateDenied) return true
    const ip = readIp(address)
    const space = ip === undefined ? 'Never' : spaceOf(ip)
    if (space !== 'Private') return space === 'Public'
    return host === undefined || this.#vouched.get(bare(host))?.has(address) === true
  }

  /** For `net.connect`: only permitted addresses come back; none left = error EADDRDENIED. */
  readonly lookup = (hostname: string, options: LookupOptions, callback: Callback): void => {
    this.#resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const permitted = addresses.filter(({ address }) => this.permits(address, hostname))
      const [one] = permitted
      if (one === undefined) return callback(denied(hostname), [])
      if (options.all === true) callback(null, permitted)
      else callback(null, one.address, one.family)
    })
  }

  /** For a host that is an address already, which no look-up would see. Undefined = permitted or a name. */
  refusal(hostname: string): Error | undefined {
    const address = hostname.replace(/^\[|\]$/g, '')
    return isIP(address) === 0 || this.permits(address) ? undefined : denied(hostname)
  }
}

const denied = (hostname: string): Error =>
  Object.assign(new Error(`the address of ${hostname} is denied by this installation`), { code: 'EADDRDENIED' })

const bare = (host: string): string => host.toLowerCase().replace(/\.$/, '')

const isIn = (list: BlockList, address: string): boolean => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')

function vouchedIn(endpointSets: RoutingTable['endpointSets']): ReadonlyMap<string, ReadonlySet<string>> {
  const vouched = new Map<string, Set<string>>()
  for (const { endpoints } of endpointSets) {
    for (const { origin, addresses } of endpoints) {
      if (addresses === undefined) continue
      const host = bare(new URL(origin).hostname)
      vouched.set(host, new Set([...(vouched.get(host) ?? []), ...addresses]))
    }
  }
  return vouched
}

const listsOf = (allow: readonly string[], deny: readonly string[]): Lists => ({ allowed: blockList(allow), denied: blockList(deny) })

function blockList(cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/')
    const version = isIP(address)
    if (version === 0 || bits === undefined || !/^[0-9]{1,3}$/.test(bits)) throw new Error(`"${cidr}" is no CIDR such as 10.0.0.0/8`)
    list.addSubnet(address, Number(bits), version === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}
