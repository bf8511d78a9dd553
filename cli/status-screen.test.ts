import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseObject } from './cluster-objects.ts'
import { parseOperatorState } from './operator-state.ts'
import { type StatusSeen, statusScreen, statusView } from './status-screen.ts'

const NOW = Date.parse('2026-11-25T12:00:10Z')
const LEASE = { namespace: 'llama-swap', name: 'llama-swap-operator' }
const RECORD = { holder: 'operator-0_1', durationMs: 15_000, acquireTime: '', renewTime: '2026-11-25T12:00:08.000000Z', transitions: 3 }
const STATE = {
  install: 'llama-swap/llama-swap-operator',
  identity: 'operator-0_1',
  leads: true,
  epoch: 4,
  proxies: { Gateway: 2, Sidecar: 1 },
}

function stateOf(more: Record<string, unknown> = {}): StatusSeen['operator'] {
  const state = parseOperatorState({ ...STATE, ...more })
  assert.ok(state !== undefined)
  return { state }
}

const condition = (type: string, status: string, reason: string, message = '') => ({ type, status, reason, message })
const GOOD = ['Accepted', 'ResolvedRefs', 'Programmed', 'Ready'].map((type) => condition(type, 'True', type))

const model = (name: string, status?: Record<string, unknown>, generation = 1) =>
  parseObject('LlamaModel', { metadata: { namespace: 'team', name, generation }, ...(status !== undefined && { status }) })
const policy = (name: string, status: Record<string, unknown>) =>
  parseObject('RoutingPolicy', { metadata: { namespace: 'team', name, generation: 1 }, status })

const goodModel = (name: string) =>
  model(name, { observedGeneration: 1, conditions: GOOD, endpoints: { ready: 2, total: 2 }, programmed: { acked: 2, proxies: 2 } })

const seen = (more: Partial<StatusSeen> = {}): StatusSeen => ({
  objects: [goodModel('llama')],
  lease: { lease: LEASE, record: RECORD },
  operator: stateOf(),
  nowMs: NOW,
  ...more,
})

const screen = (what: StatusSeen): string => statusScreen(statusView(what), (word) => word).join('\n')

test('an installation in order is one short screen', () => {
  const rules = [
    { name: 'default', ready: true },
    { name: 'code', ready: true },
  ]
  const auto = policy('auto', { observedGeneration: 1, conditions: GOOD, rules, programmed: { acked: 2, proxies: 2 } })
  const what = seen({ objects: [goodModel('llama'), auto] })
  assert.equal(statusView(what).well, true)
  assert.equal(
    screen(what),
    `Installation  llama-swap/llama-swap-operator
Leader        operator-0_1, epoch 4, renewed 2 s ago
Proxies       2 gateways, 1 sidecar

LlamaModel  Ready    Endpoints  Programmed
team/llama  True     2/2        2/2

RoutingPolicy  Ready    Rules      Programmed
team/auto      True     2/2        2/2

Ready: 2 objects, all.`,
  )
})

test('what is not True says why, those that need somebody come first, and the same reason is told once', () => {
  const noProxies = 'No gateway is connected to the operator.'
  const mistral = model('mistral', {
    observedGeneration: 1,
    conditions: [
      condition(
        'Accepted',
        'False',
        'AddressForbidden',
        'Backends of this namespace may not use the address "10.0.0.1", so it gets no requests. Name the engine\'s own address, or have the installation allow it.',
      ),
      condition('ResolvedRefs', 'True', 'ResolvedRefs'),
      condition('Programmed', 'False', 'NoProxies', noProxies),
      condition('Ready', 'False', 'NoProxies', noProxies),
    ],
    endpoints: { ready: 0, total: 1 },
    programmed: { acked: 0, proxies: 0 },
  })
  const what = seen({ objects: [goodModel('llama'), mistral], operator: stateOf({ proxies: {} }) })
  assert.equal(statusView(what).well, false)
  assert.equal(
    screen(what),
    `Installation  llama-swap/llama-swap-operator
Leader        operator-0_1, epoch 4, renewed 2 s ago
Proxies       0 gateways, 0 sidecars

LlamaModel    Ready    Endpoints  Programmed
team/mistral  False    0/1        0/0
  Accepted False, AddressForbidden: Backends of this namespace may not use the address "10.0.0.1",
    so it gets no requests. Name the engine's own address, or have the installation allow it.
  Programmed, Ready False, NoProxies: No gateway is connected to the operator.
team/llama    True     2/2        2/2

No RoutingPolicy.

Not Ready: 1 of 2 objects.`,
  )
})

test('what no object tells is told by the operator: Secrets, watches, a table that is too large', () => {
  const problems = [
    {
      object: 'Secret team/keys',
      at: 'data.key',
      message: 'The key "key" has 3 characters and is not accepted. Use at least 24 random ones.',
    },
    { object: 'LlamaModel team/llama', at: 'spec', message: 'stands in its status' },
    { object: '', at: '', message: 'pods in all namespaces cannot be watched: add a rule.' },
  ]
  const watches = [
    { what: 'pods in all namespaces', failing: 'forbidden' },
    { what: 'services in all namespaces', failing: 'connect ECONNREFUSED' },
  ]
  const what = seen({ operator: stateOf({ problems, watches, tableTooLargeBytes: 70_000_000 }) })
  assert.equal(statusView(what).well, false)
  assert.equal(
    screen(what).split('\n\n').at(-2),
    `Problems
  Secret team/keys data.key: The key "key" has 3 characters and is not accepted. Use at least 24
    random ones.
  pods in all namespaces cannot be watched: add a rule.
  services in all namespaces: the watch does not go on: connect ECONNREFUSED
  The routing table has 70000000 bytes, more than may travel.`,
  )
})

test('a Degraded object is served: its reason is shown, and all is well', () => {
  const conditions = [...GOOD, condition('Degraded', 'True', 'EndpointsDown', 'Ready endpoints: gpu 1/2.')]
  const what = seen({ objects: [model('llama', { observedGeneration: 1, conditions })] })
  assert.equal(statusView(what).well, true)
  assert.match(screen(what), /^ {2}Degraded True, EndpointsDown: Ready endpoints: gpu 1\/2\.$/m)
})

test('a status that is missing, or of an older spec, is no word on the object', () => {
  const old = model('old', { observedGeneration: 2, conditions: GOOD }, 3)
  const what = seen({ objects: [model('new'), old] })
  assert.equal(statusView(what).well, false)
  assert.match(screen(what), /team\/new {4}Unknown {2}–.*\n {2}Ready Unknown, NotJudged: No operator has written a status yet/)
  assert.match(screen(what), /The status is of generation 2, and the object has 3\./)
})

const LEADERS: Readonly<Record<string, { readonly seen: Partial<StatusSeen>; readonly says: RegExp; readonly well: boolean }>> = {
  'an operator that cannot be asked is said, and the Lease speaks for it': {
    seen: { operator: { because: 'http://127.0.0.1:8081 does not answer (connect ECONNREFUSED)' } },
    says: /^Leader {8}operator-0_1, renewed 2 s ago\nProxies {7}unknown: .*ECONNREFUSED.*kubectl\s+port-forward/ms,
    well: true,
  },
  'a Lease that nobody has renewed for long has no leader': {
    seen: { nowMs: NOW + 600_000, operator: { because: 'no' } },
    says: /^Leader {8}nobody: operator-0_1 has not renewed the Lease for 10 min$/m,
    well: false,
  },
  'a Lease that was let go of has no leader': {
    seen: { lease: { lease: LEASE, record: { ...RECORD, holder: '' } }, operator: { because: 'no' } },
    says: /^Leader {8}nobody: the last one has let go/m,
    well: false,
  },
  'a Lease that cannot be read leaves it open': {
    seen: { lease: { lease: LEASE, because: 'there is no such Lease' }, operator: { because: 'no' } },
    says: /unknown: there is no such Lease\. Name the operator's with --operator-namespace/,
    well: false,
  },
  'an operator that leads is believed without its Lease': {
    seen: { lease: { lease: LEASE, because: 'forbidden' } },
    says: /^Leader {8}operator-0_1, epoch 4$/m,
    well: true,
  },
  'one that has the Lease and another installation in its way does not lead': {
    seen: { operator: stateOf({ leads: false, notLeadingBecause: 'namespace team is served by x/y' }) },
    says: /operator-0_1 has the Lease and does not lead: namespace team is served by x\/y/,
    well: false,
  },
  'a standby knows no proxies': {
    seen: { operator: stateOf({ leads: false, identity: 'operator-1_2' }) },
    says: /^Proxies {7}unknown: operator-1_2 does not lead; ask the leader's pod\.$/m,
    well: true,
  },
}
for (const [sentence, { seen: more, says, well }] of Object.entries(LEADERS))
  test(sentence, () => {
    assert.match(screen(seen(more)), says)
    assert.equal(statusView(seen(more)).well, well)
  })

test('no line has more than 100 columns, control characters do not reach the terminal, and rows are bounded', () => {
  const long = condition('Ready', 'False', 'EndpointsDown', `\u001B[2J${'x'.repeat(300)}\n${'word '.repeat(100)}`)
  const objects = Array.from({ length: 100 }, (_, i) => model(`${'n'.repeat(60)}-${i}`, { observedGeneration: 1, conditions: [long] }))
  const lines = statusScreen(statusView(seen({ objects })), (word) => word)
  assert.deepEqual(
    lines.filter((line) => line.length > 100 || /\p{Cc}/u.test(line)),
    [],
  )
  assert.ok(lines.includes('and 60 more: --json has all'))
})

test('endpoints whose circuits are not closed are told, with how many gateways say so and why', () => {
  const endpoint = { model: 'team/llama', backend: 'gpu', id: 'a', origin: 'http://10.0.0.1:8000', up: 2, down: 0, inFlight: 0 }
  const endpoints = [
    { ...endpoint, circuits: { open: 1, half_open: 1 }, because: 'HTTP 500' },
    { ...endpoint, id: 'b' },
  ]
  const what = seen({ operator: stateOf({ endpoints }) })
  assert.equal(statusView(what).well, true)
  assert.match(
    screen(what),
    /\nCircuits\n {2}team\/llama gpu http:\/\/10\.0\.0\.1:8000: open at 1 gateway, half-open at 1 gateway \(HTTP 500\)\n\nReady/,
  )
})
