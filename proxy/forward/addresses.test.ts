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
