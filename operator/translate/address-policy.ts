import { isWithin, type Network, readIp, readNetwork, spaceOf } from '../../proxy/routing-table/address-space.ts'
import type { AddressRules } from '../../proxy/routing-table/index.ts'
import type { AddressSettings } from '../resources/snapshot.ts'

/** Which addresses a backend may have. The proxy asks again at connect, of what names resolve to. */
export interface AddressPolicy {
  readonly base: AddressSettings['base']
  /** `isOwn` says whether it belongs to the model's own namespace; asked only where that decides. */
  permits(address: string, isOwn: (address: string) => boolean): boolean
  /** What the installation allows, whoever's address it is. */
  allows(address: string): boolean
}

const LINK_LOCAL = networks(['169.254.0.0/16', '100.100.100.200/32', 'fe80::/10', 'fd00:ec2::254/128'])

export function addressPolicy({ base, allow, deny, apiServer }: AddressSettings): AddressPolicy {
  const allowed = networks(allow)
  const denied = [...networks(deny), ...networks(apiServer.map(asNetwork))]
  const isIn = (address: string, list: readonly Network[]): boolean => {
    const ip = readIp(address)
    return ip !== undefined && list.some((network) => isWithin(ip, network))
  }
  return {
    base,
    allows: (address) => isIn(address, allowed),
    permits(address, isOwn) {
      if (isIn(address, allowed)) return true
      const ip = readIp(address)
      if (ip === undefined || isIn(address, denied)) return false
      if (base === 'Standalone') return !isIn(address, LINK_LOCAL)
      const space = spaceOf(ip)
      return space === 'Public' || (space === 'Private' && isOwn(address))
    },
  }
}

/** What proxies are told; nothing in standalone, where the proxy's flags alone decide. */
export function addressRules({ base, allow, deny, apiServer }: AddressSettings): AddressRules | undefined {
  return base === 'Standalone' ? undefined : { private: 'Deny', allow, deny: [...deny, ...apiServer.map(asNetwork)] }
}

const asNetwork = (address: string): string => `${address}/${address.includes(':') ? 128 : 32}`

function networks(cidrs: readonly string[]): readonly Network[] {
  return cidrs.flatMap((cidr) => readNetwork(cidr) ?? [])
}
