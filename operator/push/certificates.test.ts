import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { BACKDATED_MS, CA_LIFE_MS, LEAF_LIFE_MS, makeAuthority, signServer, validityOf } from './certificate-authority.ts'
import { bundleOf, nextStep, OVERLAP_MS } from './certificates.ts'

const BORN_MS = Date.UTC(2026, 0, 1)
const authority = await makeAuthority(BORN_MS)
const next = await makeAuthority(BORN_MS + (CA_LIFE_MS * 2) / 3)
const NEXT_MS = BORN_MS + (CA_LIFE_MS * 2) / 3
const END_MS = BORN_MS + CA_LIFE_MS

const stepAt = (nowMs: number, more: Parameters<typeof nextStep>[0] | object = {}): string =>
  nextStep({ current: authority, ...more }, nowMs).do

test('without an authority, or with one that has expired, one is made', () => {
  assert.equal(nextStep(undefined, BORN_MS).do, 'create')
  assert.equal(stepAt(END_MS), 'create')
  assert.equal(nextStep({ current: { cert: 'broken', key: '' } }, BORN_MS).do, 'create')
})

test('after two thirds of its life a next one is made, once', () => {
  assert.equal(stepAt(NEXT_MS - 1), 'nothing')
  assert.equal(stepAt(NEXT_MS), 'addNext')
  assert.equal(stepAt(NEXT_MS + 1, { next }), 'nothing')
})

test('the next one signs after it has been trusted for a day', () => {
  assert.equal(stepAt(NEXT_MS + OVERLAP_MS - 1, { next }), 'nothing')
  assert.equal(stepAt(NEXT_MS + OVERLAP_MS, { next }), 'promote')
})

test('the old one is trusted until it expires', () => {
  const promoted = { current: next, previous: authority.cert }
  assert.equal(nextStep(promoted, END_MS - 1).do, 'nothing')
  assert.equal(nextStep(promoted, END_MS).do, 'dropPrevious')
  assert.equal(bundleOf(promoted), authority.cert + next.cert)
  assert.equal(bundleOf({ current: authority, next }), authority.cert + next.cert)
})

test("a server's certificate names it, is its authority's, and does not outlive it", async () => {
  const server = new X509Certificate((await signServer(authority, ['operator.llama-swap.svc', '127.0.0.1'], BORN_MS)).cert)
  assert.equal(server.subjectAltName, 'DNS:operator.llama-swap.svc, IP Address:127.0.0.1')
  const ca = new X509Certificate(authority.cert)
  assert.ok(ca.ca && server.checkIssued(ca) && server.verify(ca.publicKey) && !server.ca)
  const late = await signServer(authority, ['a'], END_MS - LEAF_LIFE_MS / 2)
  assert.deepEqual(validityOf(late.cert), { notBeforeMs: END_MS - LEAF_LIFE_MS / 2 - BACKDATED_MS, notAfterMs: END_MS })
})
