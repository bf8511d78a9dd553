import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { BlockList, isIP, isIPv6 } from 'node:net'

/** Where credentials and requests must never go: link-local (cloud metadata among it) and the metadata address of IPv6 clouds. */
const ALWAYS_DENIED = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254/128'] as const

/** Decided by the installation, enforced on every resolved address at connect, so that DNS rebinding changes nothing. */
export class AddressPolicy {
  readonly #allowed: BlockList
  readonly #denied: BlockList

  /** CIDRs; `allow` wins over `deny`. Throws on what is no CIDR. */
  constructor({ allow, deny }: { allow: readonly string[]; deny: readonly string[] }) {
    this.#allowed = blockList(allow)
    this.#denied = blockList([...ALWAYS_DENIED, ...deny])
  }

  permits(address: string): boolean {
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    return this.#allowed.check(address, family) || !this.#denied.check(address, family)
  }

  /** For `net.connect`: only permitted addresses come back; none left = error EADDRDENIED. */
  readonly lookup = (
    hostname: string,
    options: LookupOptions,
    callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
  ): void => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const permitted = addresses.filter(({ address }) => this.permits(address))
      const [one] = permitted
      if (one === undefined) return callback(denied(hostname), [])
      if (options.all === true) callback(null, permitted)
      else callback(null, one.address, one.family)
    })
  }

  /** For a host that is an address already, which no look-up would see. Undefined = permitted or a name. */
  refusal(hostname: string): Error | undefined {
    const bare = hostname.replace(/^\[|\]$/g, '')
    return isIP(bare) === 0 || this.permits(bare) ? undefined : denied(hostname)
  }
}

const denied = (hostname: string): Error =>
  Object.assign(new Error(`the address of ${hostname} is denied by this installation`), { code: 'EADDRDENIED' })

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
