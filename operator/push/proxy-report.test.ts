import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointReport } from '../../proxy/routing-table/frames.ts'
import { ProxyReport, Votes } from './proxy-report.ts'

const says = (proxy: ProxyReport, votes: Votes, report: Omit<EndpointReport, 'id' | 'inFlight'>): void =>
  void proxy.take({ type: 'report', endpoints: [{ id: 'a', inFlight: 1, ...report }], gone: [], usage: [] }, votes)

test('circuits that are not closed are counted by state, and no longer when they close or their gateway is gone', () => {
  const votes = new Votes()
  const [one, other] = [new ProxyReport(), new ProxyReport()]
  const circuits = () => votes.all.get('a')?.circuits
  says(one, votes, { up: true, circuit: 'open', because: 'HTTP 500' })
  says(other, votes, { up: true, circuit: 'open' })
  assert.deepEqual(votes.all.get('a'), { up: 2, down: 0, inFlight: 2, circuits: { open: 2 }, because: 'HTTP 500' })
  says(one, votes, { up: true, circuit: 'ramping' })
  assert.deepEqual(circuits(), { open: 1, ramping: 1 })
  other.forget(votes)
  assert.deepEqual(circuits(), { ramping: 1 })
  says(one, votes, { up: true })
  assert.deepEqual(votes.all.get('a'), { up: 1, down: 0, inFlight: 1 })
})

test('what a gateway of a later version calls a state is counted; too many of them are not', () => {
  const votes = new Votes()
  for (let at = 0; at < 100; at++) says(new ProxyReport(), votes, { circuit: `state-${at}` })
  assert.equal(Object.keys(votes.all.get('a')?.circuits ?? {}).length, 16)
})
