import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isWithin, readIp, readNetwork, spaceOf } from './address-space.ts'

const SPACES: Readonly<Record<string, string>> = {
  '93.184.216.34': 'Public',
  '10.0.0.7': 'Private',
  '172.31.255.255': 'Private',
  '172.32.0.1': 'Public',
  '192.168.1.1': 'Private',
  '100.64.0.1': 'Private',
  '192.0.2.10': 'Private',
  '192.0.3.1': 'Public',
  '198.51.100.1': 'Private',
  '203.0.113.7': 'Private',
  '100.100.100.200': 'Never',
  '127.0.0.1': 'Never',
  '0.0.0.0': 'Never',
  '169.254.169.254': 'Never',
  '224.0.0.1': 'Never',
  '255.255.255.255': 'Never',
  '::': 'Never',
  '::1': 'Never',
  '::ffff:127.0.0.1': 'Never',
  '::ffff:a9fe:a9fe': 'Never',
  '::ffff:10.0.0.7': 'Private',
  '::ffff:93.184.216.34': 'Public',
  'fe80::1': 'Never',
  'ff02::1': 'Never',
  'fd00:ec2::254': 'Never',
  'fd12::1': 'Private',
  '2606:2800:220:1::1': 'Public',
  '2001:db8::1': 'Private',
  '3fff:fff::1': 'Private',
  '64:ff9b::a9fe:a9fe': 'Never',
  '64:ff9b::5db8:d822': 'Public',
  '2002:a00:7::1': 'Private',
}

for (const [text, expected] of Object.entries(SPACES)) {
  test(`${text} is ${expected}`, () => {
    const ip = readIp(text)
    assert.ok(ip !== undefined)
    assert.equal(spaceOf(ip), expected)
  })
}

test('what is no address is none', () => {
  for (const text of [
    '',
    'a',
    '1.2.3',
    '1.2.3.256',
    '010.0.0.1',
    '1.2.3.00',
    '1.2.3.4.5',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    'fe80::1%eth0',
    '::1.2.3',
  ])
    assert.equal(readIp(text), undefined, text)
})

test('what is no network is none', () => {
  for (const text of ['10.0.0.0', '10.0.0.0/33', '::/129', '10.0.0.0/8/8', '10.0.0.0/x', 'example.com/8'])
    assert.equal(readNetwork(text), undefined, text)
})

test('a network holds its addresses in every spelling, and none of the other family', () => {
  const within = (address: string, cidr: string): boolean => {
    const [ip, network] = [readIp(address), readNetwork(cidr)]
    assert.ok(ip !== undefined && network !== undefined)
    return isWithin(ip, network)
  }
  assert.ok(within('10.1.2.3', '10.0.0.0/8'))
  assert.ok(within('::ffff:10.1.2.3', '10.0.0.0/8'))
  assert.ok(!within('11.1.2.3', '10.0.0.0/8'))
  assert.ok(within('fd12::1', 'fc00::/7'))
  assert.ok(within('fd12::1', '::/0'))
  assert.ok(!within('10.1.2.3', '::/0'))
  assert.ok(within('10.1.2.3', '0.0.0.0/0'))
  assert.ok(!within('fd12::1', '0.0.0.0/0'))
})
