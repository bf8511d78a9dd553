/** The sentences of the specification of NetworkPolicies, each as a flow that passes or does not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { type Flow, type Outside, type Pod, passes } from './network-policy.ts'

const podIn = (namespace: string, labels: Pod['labels'], ip: string): Pod => ({
  kind: 'Pod',
  namespace,
  namespaceLabels: { 'kubernetes.io/metadata.name': namespace, ...(namespace === 'shop' && { tier: 'front' }) },
  labels,
  ip,
  ports: [
    { name: 'http', port: 8080 },
    { name: 'dns', port: 53, protocol: 'UDP' },
  ],
})
const web = podIn('home', { app: 'web' }, '10.0.0.1')
const db = podIn('home', { app: 'db' }, '10.0.0.2')
const other = podIn('home', { app: 'other', canary: 'yes' }, '10.0.0.3')
const shop = podIn('shop', { app: 'web' }, '10.0.1.1')
const far = podIn('far', { app: 'web' }, '10.0.2.1')
const outside: Outside = { kind: 'Outside', ip: '192.0.2.7' }

const policy = (spec: string): unknown => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'p', namespace: 'home' },
  spec: load(spec),
})

const ONTO_DB = 'podSelector: {matchLabels: {app: db}}'
const SETS: Readonly<Record<string, readonly unknown[]>> = {
  none: [],
  'nothing in': [policy(ONTO_DB)],
  'all in': [policy(`{${ONTO_DB}, ingress: [{}]}`)],
  'all of home closed': [policy('{podSelector: {}, policyTypes: [Ingress, Egress]}')],
  'from web': [policy(`{${ONTO_DB}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`)],
  'from namespaces of the front': [policy(`{${ONTO_DB}, ingress: [{from: [{namespaceSelector: {matchLabels: {tier: front}}}]}]}`)],
  'from web of every namespace but far': [
    policy(
      `{${ONTO_DB}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}, namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [far]}]}}]}]}`,
    ),
  ],
  'from a block': [policy(`{${ONTO_DB}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.64/26]}}]}]}`)],
  'from a block of IPv6': [policy(`{${ONTO_DB}, ingress: [{from: [{ipBlock: {cidr: "2001:db8::/32"}}]}]}`)],
  'from the block of Pods': [policy(`{${ONTO_DB}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}`)],
  'to the port named http': [policy(`{${ONTO_DB}, ingress: [{ports: [{port: http}]}]}`)],
  'to the port named dns': [policy(`{${ONTO_DB}, ingress: [{ports: [{port: dns, protocol: UDP}]}]}`)],
  'to ports 8000 to 8080': [policy(`{${ONTO_DB}, ingress: [{ports: [{port: 8000, endPort: 8080}]}]}`)],
  'to all ports of UDP': [policy(`{${ONTO_DB}, ingress: [{ports: [{protocol: UDP}]}]}`)],
  'two policies': [
    policy(`{${ONTO_DB}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 1}]}]}`),
    policy(`{${ONTO_DB}, ingress: [{from: [{podSelector: {matchExpressions: [{key: canary, operator: Exists}]}}], ports: [{port: 2}]}]}`),
  ],
  'egress to web only': [policy(`{${ONTO_DB}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]}`)],
  'egress without types': [policy(`{${ONTO_DB}, egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]}`)],
  'egress to the port named http': [policy(`{${ONTO_DB}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}`)],
}

type Case = [set: string, flow: Flow, passes: boolean, blocksHavePods?: boolean]
const CASES: Readonly<Record<string, Case>> = {
  'without policies all passes': ['none', { from: shop, to: db, port: 1 }, true],
  'a Pod that is selected is closed': ['nothing in', { from: web, to: db, port: 1 }, false],
  '… and goes on going out': ['nothing in', { from: db, to: web, port: 1 }, true],
  '… and its neighbours are open': ['nothing in', { from: db, to: other, port: 1 }, true],
  'its own node reaches it all the same': ['nothing in', { from: { kind: 'OwnNode' }, to: db, port: 1 }, true],
  'an empty rule takes everybody': ['all in', { from: outside, to: db, port: 1 }, true],
  'an empty selector selects all Pods of the namespace': ['all of home closed', { from: outside, to: other, port: 1 }, false],
  '… of no other one': ['all of home closed', { from: outside, to: shop, port: 1 }, true],
  '… and with Egress none of them goes out': ['all of home closed', { from: other, to: shop, port: 1 }, false],
  'Pods of the same namespace by label': ['from web', { from: web, to: db, port: 1 }, true],
  '… not others': ['from web', { from: other, to: db, port: 1 }, false],
  '… nor the same label elsewhere': ['from web', { from: shop, to: db, port: 1 }, false],
  '… nor what is no Pod': ['from web', { from: outside, to: db, port: 1 }, false],
  'all Pods of namespaces by label': ['from namespaces of the front', { from: shop, to: db, port: 1 }, true],
  '… not of others': ['from namespaces of the front', { from: web, to: db, port: 1 }, false],
  'both selectors in one peer mean both': ['from web of every namespace but far', { from: shop, to: db, port: 1 }, true],
  '… the namespace counts': ['from web of every namespace but far', { from: far, to: db, port: 1 }, false],
  '… and so does the Pod': ['from web of every namespace but far', { from: other, to: db, port: 1 }, false],
  'an address in a block': ['from a block', { from: outside, to: db, port: 1 }, true],
  '… not what it excepts': ['from a block', { from: { kind: 'Outside', ip: '192.0.2.65' }, to: db, port: 1 }, false],
  '… not beside it': ['from a block', { from: { kind: 'Outside', ip: '192.0.3.1' }, to: db, port: 1 }, false],
  '… not of the other family': ['from a block', { from: { kind: 'Outside', ip: '2001:db8::1' }, to: db, port: 1 }, false],
  '… which has blocks too': ['from a block of IPv6', { from: { kind: 'Outside', ip: '2001:db8::1' }, to: db, port: 1 }, true],
  'a block takes a Pod where its plugin does': ['from the block of Pods', { from: web, to: db, port: 1 }, true, true],
  '… and not elsewhere': ['from the block of Pods', { from: web, to: db, port: 1 }, false, false],
  'a named port is the one of the Pod that is asked': ['to the port named http', { from: web, to: db, port: 8080 }, true],
  '… no other': ['to the port named http', { from: web, to: db, port: 8081 }, false],
  '… by its protocol': ['to the port named dns', { from: web, to: db, port: 53 }, false],
  '… which is named too': ['to the port named dns', { from: web, to: db, port: 53, protocol: 'UDP' }, true],
  'a range ends with endPort': ['to ports 8000 to 8080', { from: web, to: db, port: 8080 }, true],
  '… not after it': ['to ports 8000 to 8080', { from: web, to: db, port: 8081 }, false],
  '… not before it': ['to ports 8000 to 8080', { from: web, to: db, port: 7999 }, false],
  '… and is TCP unless it says so': ['to ports 8000 to 8080', { from: web, to: db, port: 8000, protocol: 'UDP' }, false],
  'a protocol alone is all its ports': ['to all ports of UDP', { from: web, to: db, port: 9, protocol: 'UDP' }, true],
  '… and none of another': ['to all ports of UDP', { from: web, to: db, port: 9 }, false],
  'policies add up': ['two policies', { from: other, to: db, port: 2 }, true],
  '… rule by rule, not crosswise': ['two policies', { from: other, to: db, port: 1 }, false],
  'egress alone leaves the way in open': ['egress to web only', { from: outside, to: db, port: 1 }, true],
  '… and lets out what it names': ['egress to web only', { from: db, to: web, port: 1 }, true],
  '… nothing else': ['egress to web only', { from: db, to: shop, port: 1 }, false],
  'without policyTypes rules for egress make it one of egress': ['egress without types', { from: db, to: shop, port: 1 }, false],
  '… and of ingress': ['egress without types', { from: web, to: db, port: 1 }, false],
  'a named port of egress is one of the Pod that is asked': ['egress to the port named http', { from: db, to: shop, port: 8080 }, true],
  '… and nothing outside': ['egress to the port named http', { from: db, to: outside, port: 8080 }, false],
}

for (const [sentence, [set, flow, expected, blocksHavePods = false]] of Object.entries(CASES))
  test(`${sentence} (${set})`, () => assert.equal(passes(SETS[set] ?? [], flow, blocksHavePods), expected))

test('what it cannot read is an error, never a yes or a no', () => {
  for (const spec of [
    `{${ONTO_DB}, ingress: [{from: [{serviceSelector: {}}]}]}`,
    `{${ONTO_DB}, ingress: [{form: []}]}`,
    `{${ONTO_DB}, ingress: [{from: [{}]}]}`,
    `{${ONTO_DB}, ingress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: Like}]}}]}]}`,
    '{podSelector: {matchLabel: {app: db}}}',
  ])
    assert.throws(() => passes([policy(spec)], { from: web, to: db, port: 1 }, true), spec)
})
