/** What kind of address an IP address is, and which networks it is in. Both halves judge with this. */

/** 128 bits; an IPv4 address stands where IPv6 maps it (::ffff:0:0/96), so that both spellings are one. */
export type Ip = bigint

/**
 * `Never`: loopback, link-local, cloud metadata, unspecified, multicast, reserved. Nobody's engine is there but this host's own. `Private`: all
 * that the internet does not route, the networks of documentation and benchmarks too (IANA's registries of special-purpose addresses).
 */
export type Space = 'Never' | 'Private' | 'Public'

export interface Network {
  readonly prefix: Ip
  readonly bits: number
}

const MAPPED = 0xffff00000000n
const MAPPED_BITS = 96

/** Undefined = no IP address. A zone ("fe80::1%eth0") is none. */
export function readIp(text: string): Ip | undefined {
  return text.includes(':') ? readIpv6(text) : readIpv4(text)
}

/** Without leading zeros: 010.0.0.1 is ten for some readers and eight for others. */
const PLAIN_IPV4 = /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/

function readIpv4(text: string): Ip | undefined {
  if (!PLAIN_IPV4.test(text)) return undefined
  const parts = text.split('.').map(Number)
  if (parts.some((part) => part > 255)) return undefined
  return MAPPED + BigInt(parts.reduce((sum, part) => sum * 256 + part, 0))
}

function readIpv6(text: string): Ip | undefined {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted !== null) {
    const low = readIpv4(dotted[2] ?? '')
    if (low === undefined) return undefined
    const hex = (low & 0xffffffffn).toString(16).padStart(8, '0')
    return readIpv6(`${dotted[1]}${hex.slice(0, 4)}:${hex.slice(4)}`)
  }
  const [head = '', tail, ...more] = text.split('::')
  if (more.length > 0) return undefined
  const groups = (part: string | undefined): readonly string[] => (part === undefined || part === '' ? [] : part.split(':'))
  const [before, after] = [groups(head), groups(tail)]
  const missing = 8 - before.length - after.length
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  const all = [...before, ...Array.from({ length: missing }, () => '0'), ...after]
  return all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))
    ? BigInt(`0x${all.map((group) => group.padStart(4, '0')).join('')}`)
    : undefined
}

/** Undefined = no CIDR such as 10.0.0.0/8. */
export function readNetwork(cidr: string): Network | undefined {
  const [text = '', length = '', ...more] = cidr.split('/')
  const prefix = readIp(text)
  if (prefix === undefined || more.length > 0 || !/^\d{1,3}$/.test(length)) return undefined
  const bits = Number(length) + (text.includes(':') ? 0 : MAPPED_BITS)
  return bits > 128 ? undefined : { prefix, bits }
}

/** A network of IPv6 holds no IPv4 address, however short its prefix. */
export function isWithin(ip: Ip, { prefix, bits }: Network): boolean {
  const shift = BigInt(128 - bits)
  return ip >> shift === prefix >> shift && (bits >= MAPPED_BITS || !isIpv4(ip))
}

const isIpv4 = (ip: Ip): boolean => ip >> 32n === MAPPED >> 32n

const networks = (cidrs: readonly string[]): readonly Network[] => cidrs.flatMap((cidr) => readNetwork(cidr) ?? [])

const NEVER = networks([
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '100.100.100.200/32',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/127',
  'fe80::/10',
  'fd00:ec2::254/128',
  'ff00::/8',
])
const PRIVATE_IPV4 = networks([
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
])
const PRIVATE_IPV6 = networks(['2001:db8::/32', '3fff::/20'])
const [GLOBAL_IPV6, NAT64, SIX_TO_FOUR] = [
  { prefix: 0x2000n << 112n, bits: 3 },
  { prefix: 0x64ff9bn << 96n, bits: 96 },
  { prefix: 0x2002n << 112n, bits: 16 },
]

/** Addresses that carry an IPv4 address are judged as that one. */
export function spaceOf(ip: Ip): Space {
  if (isWithin(ip, NAT64)) return spaceOf(MAPPED + (ip & 0xffffffffn))
  if (isWithin(ip, SIX_TO_FOUR)) return spaceOf(MAPPED + ((ip >> 80n) & 0xffffffffn))
  if (NEVER.some((network) => isWithin(ip, network))) return 'Never'
  if (isIpv4(ip)) return PRIVATE_IPV4.some((network) => isWithin(ip, network)) ? 'Private' : 'Public'
  return isWithin(ip, GLOBAL_IPV6) && !PRIVATE_IPV6.some((network) => isWithin(ip, network)) ? 'Public' : 'Private'
}
