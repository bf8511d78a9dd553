/**
 * What NetworkPolicies of networking.k8s.io/v1 let through, as their specification says. In: policies as they are applied, and one flow. Out:
 * whether its packets pass. It asks no cluster and knows no plugin; what plugins may do either way is a parameter. Its cases stand beside it.
 */
import { BlockList, isIPv6 } from 'node:net'
import { isFields } from '../../operator/validate/problem.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import { type Labels, selects } from '../support/label-selector.ts'

export interface Pod {
  readonly kind: 'Pod'
  readonly namespace: string
  readonly namespaceLabels: Labels
  readonly labels: Labels
  readonly ip: string
  /** Container ports that have a name. */
  readonly ports: readonly NamedPort[]
}

export interface NamedPort {
  readonly name: string
  readonly port: number
  /** Absent: TCP. */
  readonly protocol?: Protocol
}

/** Anything that is no Pod of the cluster's network: a client elsewhere, an API server, a Pod on the network of its node. */
export interface Outside {
  readonly kind: 'Outside'
  readonly ip: string
}

/** The node that a Pod runs on, so its kubelet: no policy keeps it away from the Pod. */
export interface OwnNode {
  readonly kind: 'OwnNode'
}

export type Peer = Pod | Outside | OwnNode
export type Protocol = 'TCP' | 'UDP' | 'SCTP'

export interface Flow {
  readonly from: Peer
  readonly to: Peer
  readonly port: number
  /** Absent: TCP. */
  readonly protocol?: Protocol
}

type Direction = 'Ingress' | 'Egress'
const DIRECTIONS = {
  Ingress: { rules: 'ingress', peers: 'from' },
  Egress: { rules: 'egress', peers: 'to' },
} as const

/**
 * Whether a flow passes both ends. `blocksHavePods`: whether an ipBlock also takes addresses of Pods; the specification leaves it open and
 * plugins differ, so what must be open is asked without it, and what must be closed with it. Throws on policies that it cannot read.
 */
export function passes(policies: readonly unknown[], flow: Flow, blocksHavePods: boolean): boolean {
  if (flow.from.kind === 'OwnNode' || flow.to.kind === 'OwnNode') return true
  const asked = { ...flow, blocksHavePods }
  return isLetIn(policies, 'Egress', flow.from, flow.to, asked) && isLetIn(policies, 'Ingress', flow.to, flow.from, asked)
}

interface Asked extends Flow {
  readonly blocksHavePods: boolean
}

/** A Pod that no policy selects is open in that direction; one that is selected gets what any of these policies has a rule for. */
function isLetIn(policies: readonly unknown[], direction: Direction, pod: Peer, other: Peer, asked: Asked): boolean {
  if (pod.kind !== 'Pod') return true
  const selecting = policies.filter((policy) => applies(policy, direction, pod))
  return selecting.length === 0 || selecting.some((policy) => hasRuleFor(policy, direction, other, asked))
}

function applies(policy: unknown, direction: Direction, pod: Pod): boolean {
  if (textAt(policy, 'kind') !== 'NetworkPolicy') throw new Error(`no NetworkPolicy: ${JSON.stringify(policy)}`)
  const namespace = valueAt(policy, 'metadata', 'namespace')
  return (
    (namespace ?? 'default') === pod.namespace &&
    selects(valueAt(policy, 'spec', 'podSelector') ?? {}, pod.labels) &&
    typesOf(policy).includes(direction)
  )
}

/** What the API server fills in: always Ingress, and Egress where there are rules for it. */
function typesOf(policy: unknown): readonly unknown[] {
  const types = listAt(policy, 'spec', 'policyTypes')
  if (types.length > 0) return types
  return listAt(policy, 'spec', 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress']
}

function hasRuleFor(policy: unknown, direction: Direction, other: Peer, asked: Asked): boolean {
  const { rules, peers } = DIRECTIONS[direction]
  return listAt(policy, 'spec', rules).some((rule) => {
    known(rule, [peers, 'ports'])
    const named = listAt(rule, peers)
    return portsTake(listAt(rule, 'ports'), asked) && (named.length === 0 || named.some((peer) => takes(policy, peer, other, asked)))
  })
}

function takes(policy: unknown, peer: unknown, other: Peer, asked: Asked): boolean {
  known(peer, ['podSelector', 'namespaceSelector', 'ipBlock'])
  if (other.kind === 'OwnNode') return true
  const { podSelector, namespaceSelector, ipBlock } = isFields(peer) ? peer : {}
  if (ipBlock !== undefined) {
    if (podSelector !== undefined || namespaceSelector !== undefined) throw new Error('an ipBlock stands alone')
    return (other.kind !== 'Pod' || asked.blocksHavePods) && isInBlock(ipBlock, other.ip)
  }
  if (podSelector === undefined && namespaceSelector === undefined) throw new Error('a peer selects by something')
  if (other.kind !== 'Pod') return false
  const inNamespace =
    namespaceSelector === undefined
      ? other.namespace === (valueAt(policy, 'metadata', 'namespace') ?? 'default')
      : selects(namespaceSelector, other.namespaceLabels)
  return inNamespace && selects(podSelector ?? {}, other.labels)
}

function isInBlock(block: unknown, ip: string): boolean {
  known(block, ['cidr', 'except'])
  return isInCidr(textAt(block, 'cidr'), ip) && !listAt(block, 'except').some((cidr) => isInCidr(String(cidr), ip))
}

function isInCidr(cidr: string, ip: string): boolean {
  const [address = '', bits = ''] = cidr.split('/')
  const list = new BlockList()
  list.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4')
  return isIPv6(address) === isIPv6(ip) && list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4')
}

const portsTake = (ports: readonly unknown[], asked: Asked): boolean => ports.length === 0 || ports.some((port) => portTakes(port, asked))

/** A name is a container's port of the Pod that is asked; elsewhere it means nothing. */
function portTakes(rule: unknown, { to, port, protocol = 'TCP' }: Asked): boolean {
  known(rule, ['port', 'endPort', 'protocol'])
  if ((valueAt(rule, 'protocol') ?? 'TCP') !== protocol) return false
  const first = valueAt(rule, 'port')
  if (first === undefined) return true
  if (typeof first === 'string')
    return to.kind === 'Pod' && to.ports.some((one) => one.name === first && one.port === port && (one.protocol ?? 'TCP') === protocol)
  const last = valueAt(rule, 'endPort') ?? first
  return typeof first === 'number' && typeof last === 'number' && first <= port && port <= last
}

/** A field that is new to us may change what its policy means. */
function known(value: unknown, fields: readonly string[]): void {
  const unknown = isFields(value) ? Object.keys(value).filter((field) => !fields.includes(field)) : ['it']
  if (unknown.length > 0) throw new Error(`${unknown.join(', ')} cannot be read in ${JSON.stringify(value)}`)
}
