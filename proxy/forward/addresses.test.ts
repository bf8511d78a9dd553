import assert from 'node:assert/strict'
import type { LookupAddress, LookupOptions } from 'node:dns'
import { test } from 'node:test'
import { AddressPolicy } from './addresses.ts'

const PERMITTED: Readonly<Record<string, [{ allow?: string[]; deny?: string[] }, string, boolean]>> = {
  'a public address': [{}, '93.184.216.34', true],
  loopback: [{}, '127.0.0.1', true],
  'a private network': [{}, '10.0.0.7', true],
  'the metadata address of clouds': [{}, '169.254.169.254', false],
  'the metadata address, written as IPv6': [{}, '::ffff:169.254.169.254', false],
  'the metadata address, written as IPv6 in hex': [{}, '::ffff:a9fe:a9fe', false],
  'link-local IPv6': [{}, 'fe80::1', false],
  'the metadata address of IPv6 clouds': [{}, 'fd00:ec2::254', false],
  'a denied network': [{ deny: ['10.0.0.0/8'] }, '10.1.2.3', false],
  'a denied network of IPv6': [{ deny: ['fc00::/7'] }, 'fd12::1', false],
  'outside a denied network': [{ deny: ['10.0.0.0/8'] }, '11.0.0.1', true],
  'denied, but allowed by name': [{ deny: ['10.0.0.0/8'], allow: ['10.0.0.7/32'] }, '10.0.0.7', true],
  'denied, and another one allowed': [{ deny: ['10.0.0.0/8'], allow: ['10.0.0.7/32'] }, '10.0.0.8', false],
  'metadata, where the installation insists': [{ allow: ['169.254.169.254/32'] }, '169.254.169.254', true],
}

for (const [name, [{ allow = [], deny = [] }, address, expected]] of Object.entries(PERMITTED)) {
  test(`address: ${name}`, () => assert.equal(new AddressPolicy({ allow, deny }).permits(address), expected))
}

test('what is no CIDR is said at start', () => {
  for (const cidr of ['10.0.0.0', 'example.com/8', '10.0.0.0/x', '']) {
    assert.throws(() => new AddressPolicy({ allow: [], deny: [cidr] }), { message: `"${cidr}" is no CIDR such as 10.0.0.0/8` })
  }
  assert.throws(() => new AddressPolicy({ allow: ['10.0.0.0/33'], deny: [] }))
})

test('a host that is an address is judged without a look-up, a name is not', () => {
  const policy = new AddressPolicy({ allow: [], deny: ['10.0.0.0/8', '::1/128'] })
  assert.equal(policy.refusal('example.com'), undefined)
  assert.equal(policy.refusal('127.0.0.1'), undefined)
  assert.match(policy.refusal('10.0.0.7')?.message ?? '', /denied by this installation/)
  assert.match(policy.refusal('[::1]')?.message ?? '', /denied by this installation/)
  assert.match(policy.refusal('[::ffff:10.0.0.7]')?.message ?? '', /denied by this installation/)
})

/** Through the resolver of this machine: `localhost` needs no network. */
function lookUp(policy: AddressPolicy, options: LookupOptions): Promise<{ code: string | undefined; address: string | LookupAddress[] }> {
  return new Promise((resolve) => {
    policy.lookup('localhost', options, (error, address) => resolve({ code: error?.code, address }))
  })
}

test('a look-up gives permitted addresses, one or all', async () => {
  const policy = new AddressPolicy({ allow: [], deny: ['::1/128'] })
  assert.deepEqual(await lookUp(policy, {}), { code: undefined, address: '127.0.0.1' })
  assert.deepEqual(await lookUp(policy, { all: true }), { code: undefined, address: [{ address: '127.0.0.1', family: 4 }] })
})

test('a name that has only denied addresses cannot be connected to', async () => {
  const policy = new AddressPolicy({ allow: [], deny: ['127.0.0.0/8', '::1/128'] })
  assert.deepEqual(await lookUp(policy, {}), { code: 'EADDRDENIED', address: [] })
})

test('a name that does not resolve fails as the resolver says', async () => {
  const policy = new AddressPolicy({ allow: [], deny: [] })
  const code = await new Promise((resolve) => policy.lookup('x'.repeat(300), {}, (error) => resolve(error?.code)))
  assert.ok(code !== undefined && code !== 'EADDRDENIED')
})

type Answers = Readonly<Record<string, readonly string[]>>

/** A policy whose names resolve to what `answers` says now. */
function resolving(answers: Answers, flags: { allow?: string[]; deny?: string[] } = {}): AddressPolicy {
  return new AddressPolicy({ allow: flags.allow ?? [], deny: flags.deny ?? [] }, (hostname, _options, callback) =>
    callback(
      null,
      (answers[hostname] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    ),
  )
}

const lookUpName = (policy: AddressPolicy, host: string): Promise<readonly string[] | string | undefined> =>
  new Promise((resolve) => {
    policy.lookup(host, { all: true }, (error, found) =>
      resolve(error?.code ?? [found].flat().map((one) => (typeof one === 'string' ? one : one.address))),
    )
  })

const DENY = { private: 'Deny', allow: [], deny: [] } as const
const setOf = (origin: string, addresses?: readonly string[]) => ({
  model: 'default/a',
  backend: 'gpu',
  endpoints: [{ id: 'a', origin, basePath: '/v1', ...(addresses !== undefined && { addresses }) }],
})

test('a name that turns to a private address after it was judged is not followed', async () => {
  const answers: Record<string, readonly string[]> = { 'api.example.com': ['93.184.216.34'] }
  const policy = resolving(answers)
  policy.apply({ addresses: DENY, endpointSets: [setOf('https://api.example.com')] })
  assert.deepEqual(await lookUpName(policy, 'api.example.com'), ['93.184.216.34'])
  for (const rebound of ['10.0.0.7', '127.0.0.1', '169.254.169.254', '::1', '::ffff:10.0.0.7', 'fd12::1', '0.0.0.0']) {
    answers['api.example.com'] = [rebound]
    assert.equal(await lookUpName(policy, 'api.example.com'), 'EADDRDENIED', rebound)
  }
  answers['api.example.com'] = ['10.0.0.7', '93.184.216.34']
  assert.deepEqual(await lookUpName(policy, 'api.example.com'), ['93.184.216.34'])
})

test("a Service's name may lead to the private addresses that the table has for it, and to no other", async () => {
  const answers = { 'gpu.default.svc': ['10.96.0.7', '10.96.0.8'], 'gpu.default.svc.': ['10.96.0.7'], 'other.default.svc': ['10.96.0.7'] }
  const policy = resolving(answers)
  policy.apply({ addresses: DENY, endpointSets: [setOf('http://gpu.default.svc:8000', ['10.96.0.7'])] })
  assert.deepEqual(await lookUpName(policy, 'gpu.default.svc'), ['10.96.0.7'])
  assert.deepEqual(await lookUpName(policy, 'gpu.default.svc.'), ['10.96.0.7'])
  assert.equal(await lookUpName(policy, 'other.default.svc'), 'EADDRDENIED')
  policy.apply({ addresses: DENY, endpointSets: [] })
  assert.equal(await lookUpName(policy, 'gpu.default.svc'), 'EADDRDENIED')
})

test('an address that the table names itself may be private, but not loopback, link-local or denied', () => {
  const policy = resolving({})
  policy.apply({ addresses: { ...DENY, deny: ['10.9.0.1/32'] }, endpointSets: [] })
  assert.equal(policy.refusal('10.0.0.7'), undefined)
  assert.equal(policy.refusal('[fd12::1]'), undefined)
  for (const host of ['127.0.0.1', '[::1]', '169.254.169.254', '[fe80::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '10.9.0.1', '100.100.100.200'])
    assert.match(policy.refusal(host)?.message ?? '', /denied by this installation/, host)
})

test('what is allowed, by flag or by table, is permitted in every way', async () => {
  const answers = { 'gpu.lab.example.com': ['192.168.0.5'], localhost: ['127.0.0.1'] }
  const byTable = resolving(answers)
  byTable.apply({ addresses: { ...DENY, allow: ['192.168.0.0/24', '127.0.0.0/8'], deny: ['192.168.0.0/16'] }, endpointSets: [] })
  const byFlag = resolving(answers, { allow: ['192.168.0.0/24', '127.0.0.0/8'] })
  byFlag.apply({ addresses: { ...DENY, deny: ['192.168.0.0/16'] }, endpointSets: [] })
  for (const policy of [byTable, byFlag]) {
    assert.deepEqual(await lookUpName(policy, 'gpu.lab.example.com'), ['192.168.0.5'])
    assert.deepEqual(await lookUpName(policy, 'localhost'), ['127.0.0.1'])
    assert.equal(policy.refusal('127.0.0.1'), undefined)
  }
})

test('the rules of the last table hold, and a table without rules leaves the flags alone', async () => {
  const policy = resolving({ 'gpu.lan': ['10.0.0.7'] })
  const table = { addresses: DENY, endpointSets: [] }
  assert.deepEqual(await lookUpName(policy, 'gpu.lan'), ['10.0.0.7'])
  assert.equal(policy.apply(table), true)
  assert.equal(policy.apply({ ...table, addresses: { ...DENY } }), false)
  assert.equal(await lookUpName(policy, 'gpu.lan'), 'EADDRDENIED')
  assert.equal(policy.apply({ endpointSets: [] }), true)
  assert.deepEqual(await lookUpName(policy, 'gpu.lan'), ['10.0.0.7'])
})
