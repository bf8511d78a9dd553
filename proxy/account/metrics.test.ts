import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Live } from '../live/live.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import { Metrics } from './metrics.ts'
import { answeredBy, REFUSED, refusedUnknown, tableOf } from './record.fixture.ts'

const NOW_MS = 1_000_000

function metricsOf(t: TestContext, table: CompiledTable, live = new Live()): Metrics {
  live.apply(table)
  const metrics = new Metrics({
    live,
    table: () => table,
    held: { bytes: 4096 },
    holds: { queues: () => [] },
    version: '1.2.3',
    now: () => NOW_MS,
  })
  t.after(() => metrics.close())
  return metrics
}

const TABLE = tableOf(['a', 'b'])

async function linesOf({ registry }: Metrics): Promise<ReadonlySet<string>> {
  return new Set((await registry.metrics()).split('\n'))
}

function assertLines(lines: ReadonlySet<string>, expected: readonly string[]): void {
  for (const line of expected) assert.ok(lines.has(line), `missing: ${line}`)
}

test('a request that fell back to another model is counted once, with both attempts', async (t) => {
  const subject = metricsOf(t, TABLE)
  subject.record(answeredBy(TABLE, { first: 'a', second: 'b' }))
  assertLines(await linesOf(subject), [
    'llama_swap_requests_total{route="chat",model="team/b",rule="default",outcome="ok"} 1',
    'llama_swap_attempts_total{model="team/a",backend="gpu",outcome="upstream_server_error"} 1',
    'llama_swap_attempts_total{model="team/b",backend="gpu",outcome="answered"} 1',
    'llama_swap_decisions_total{policy_rule="team/auto/default",model="team/a",kind="send"} 1',
    'llama_swap_decisions_total{policy_rule="team/auto/default",model="team/b",kind="fallback"} 1',
    'llama_swap_stream_events_malformed_total{model="team/b"} 2',
    'llama_swap_overhead_seconds_bucket{le="0.0001"} 0',
    'llama_swap_overhead_seconds_bucket{le="0.00015"} 1',
    'llama_swap_overhead_seconds_bucket{le="+Inf"} 1',
    'llama_swap_request_duration_seconds_bucket{le="1",route="chat",model="team/b"} 1',
    'llama_swap_request_duration_seconds_sum{route="chat",model="team/b"} 1',
  ])
})

test('tokens and times stand under their semantic-convention names, the wait for a failed attempt included', async (t) => {
  const subject = metricsOf(t, TABLE)
  subject.record(answeredBy(TABLE, { first: 'a', second: 'b' }))
  const labels = 'gen_ai_operation_name="chat",gen_ai_request_model="auto",gen_ai_response_model="team/b"'
  assertLines(await linesOf(subject), [
    `gen_ai_server_request_duration_seconds_sum{${labels},error_type=""} 1`,
    `gen_ai_server_time_to_first_token_seconds_sum{${labels}} 0.4`,
    `gen_ai_server_time_per_output_token_seconds_sum{${labels}} 0.006`,
    `gen_ai_client_token_usage_sum{${labels},gen_ai_token_type="input"} 118`,
    `gen_ai_client_token_usage_sum{${labels},gen_ai_token_type="cached"} 64`,
    `gen_ai_client_token_usage_sum{${labels},gen_ai_token_type="output"} 101`,
  ])
})

test('a name that nobody serves never becomes a label', async (t) => {
  const subject = metricsOf(t, TABLE)
  subject.record(refusedUnknown('anything-a-client-sends'))
  const text = await subject.registry.metrics()
  assert.ok(!text.includes('anything-a-client-sends'))
  assertLines(new Set(text.split('\n')), [
    'llama_swap_requests_total{route="chat",model="_none",rule="none",outcome="caller_unknown_model"} 1',
    'llama_swap_decisions_total{policy_rule="none",model="_none",kind="refuse"} 1',
    'gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_request_model="_unknown",gen_ai_response_model="",error_type="caller_unknown_model"} 1',
  ])
})

test('a request that was never read is counted without a model', async (t) => {
  const subject = metricsOf(t, TABLE)
  subject.record(REFUSED)
  assertLines(await linesOf(subject), [
    'llama_swap_requests_total{route="chat",model="_none",rule="none",outcome="caller_invalid_request"} 1',
  ])
})

test('missing usage is counted as unreported and books no tokens', async (t) => {
  const subject = metricsOf(t, TABLE)
  const record = answeredBy(TABLE, { second: 'a', asked: 'a' })
  if (record.ending?.kind !== 'answered') throw new Error('the fixture has an ending')
  subject.record({ ...record, ending: { ...record.ending, usage: undefined } })
  const text = await subject.registry.metrics()
  assert.ok(text.includes('llama_swap_usage_unreported_total{model="team/a"} 1'))
  assert.ok(!text.includes('gen_ai_client_token_usage_count'))
})

test('an endpoint shows what is known of it now, and nothing of what is not', async (t) => {
  const live = new Live()
  const subject = metricsOf(t, TABLE, live)
  live.take('a-0')
  live.report({ endpointId: 'a-0', atMs: NOW_MS, healthy: true, responseMs: 12, running: 3, waiting: 0, signalsAtMs: NOW_MS })
  live.report({ endpointId: 'b-0', atMs: NOW_MS, healthy: false, running: 3, signalsAtMs: NOW_MS - 60_000 })
  live.take('b-0', NOW_MS).failed({ class: 'REFUSED', because: 'refused' }, NOW_MS, 1)
  const lines = await linesOf(subject)
  const a = '{model="team/a",backend="gpu",endpoint="a-0"}'
  const b = '{model="team/b",backend="gpu",endpoint="b-0"}'
  assertLines(lines, [
    `llama_swap_endpoint_in_flight${a} 1`,
    `llama_swap_endpoint_ready${a} 1`,
    `llama_swap_endpoint_ready${b} 0`,
    `llama_swap_endpoint_cooling${a} 0`,
    `llama_swap_endpoint_cooling${b} 1`,
    `llama_swap_endpoint_running_requests${a} 3`,
    `llama_swap_endpoint_waiting_requests${a} 0`,
    `llama_swap_probe_duration_seconds${a} 0.012`,
    'llama_swap_table_seq 7',
    'llama_swap_held_bytes 4096',
  ])
  assert.ok(![...lines].some((line) => line.startsWith(`llama_swap_endpoint_running_requests${b}`)), 'a stale signal is unknown')
  assert.ok(![...lines].some((line) => line.startsWith('llama_swap_endpoint_cache_used_ratio{')))
})

test('more endpoints than a scrape can bear are left out and counted', async (t) => {
  const subject = metricsOf(t, tableOf(Array.from({ length: 502 }, (_, index) => `m${index}`)))
  await subject.registry.metrics() // the count of what this scrape left out is read by the next
  assertLines(await linesOf(subject), ['llama_swap_metric_series_dropped_total{metric="llama_swap_endpoint_in_flight"} 2'])
})

test('tables taken and refused are both counted', async (t) => {
  const subject = metricsOf(t, TABLE)
  subject.swapped('applied')
  subject.swapped('refused')
  subject.swapped('refused')
  assertLines(await linesOf(subject), [
    'llama_swap_table_swaps_total{result="applied"} 1',
    'llama_swap_table_swaps_total{result="refused"} 2',
  ])
})
