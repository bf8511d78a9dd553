import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import { type BackendLines, makeTable } from '../../test/support/table.ts'
import { type CompiledEndpoint, compileTable } from '../routing-table/index.ts'
import { passBack, upstreamHeaders } from './headers.ts'

function endpointOf(lines: Partial<BackendLines> = {}): CompiledEndpoint {
  const [endpoint] = compileTable(makeTable({ models: { a: { backends: [{ url: 'http://a', ...lines }] } } })).endpoints.values()
  assert.ok(endpoint !== undefined)
  return endpoint
}

const pairs = (head: readonly string[]): [string, string][] =>
  head.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, head[at + 1] ?? '']] : []))

const OURS: [string, string][] = [
  ['content-type', 'application/json'],
  ['accept-encoding', 'identity'],
  ['x-request-id', 'r1'],
]

/** What goes out beside our own three fields. */
function sent(client: IncomingHttpHeaders, lines: Partial<BackendLines> = {}, credential?: string): [string, string][] {
  const all = pairs(upstreamHeaders(client, endpointOf(lines), 'r1', credential))
  assert.deepEqual(all.slice(0, 3), OURS)
  return all.slice(3)
}

const TO_ENGINES: Readonly<Record<string, [[string, string][], [string, string][]]>> = {
  'nothing of the client by default': [sent({}), []],
  'what traces and describes the request': [
    sent({ accept: '*/*', 'user-agent': 'x/1', traceparent: '00-a-b-01', tracestate: 's', 'openai-beta': 'b', 'x-session-id': 's1' }),
    [
      ['accept', '*/*'],
      ['user-agent', 'x/1'],
      ['traceparent', '00-a-b-01'],
      ['tracestate', 's'],
      ['openai-beta', 'b'],
      ['x-session-id', 's1'],
    ],
  ],
  "never the client's credentials, cookies or address": [
    sent({ authorization: 'Bearer client', 'x-api-key': 'client', cookie: 'c', 'x-forwarded-for': '10.0.0.1', forwarded: 'for=10.0.0.1' }),
    [],
  ],
  'nothing that belongs to one connection, whatever `connection` names': [
    sent({
      connection: 'keep-alive, x-session',
      'keep-alive': 'x',
      te: 'trailers',
      upgrade: 'h2c',
      'transfer-encoding': 'chunked',
      expect: '100-continue',
    }),
    [],
  ],
  "not the client's encoding and length: the body is another": [
    sent({ 'content-type': 'text/plain', 'content-length': '9', 'accept-encoding': 'gzip' }),
    [],
  ],
  "not the client's own request id under our name": [sent({ 'x-request-id': 'theirs' }), []],
  "the backend's fixed headers": [sent({}, { headers: [{ name: 'openai-project', value: 'p' }] }), [['openai-project', 'p']]],
  "the backend's credential, as a bearer": [
    sent({ authorization: 'Bearer client' }, { keys: ['k'] }, 'k'),
    [['authorization', 'Bearer k']],
  ],
  'or bare, in another header': [sent({}, { keys: ['k'], auth: { header: 'api-key', scheme: '' } }, 'k'), [['api-key', 'k']]],
  'a backend without auth gets no credential': [sent({}, {}, 'k'), []],
  'a credential that is not there is not sent empty': [sent({}, { keys: ['k'] }), []],
}

for (const [name, [found, expected]] of Object.entries(TO_ENGINES)) test(`to an engine: ${name}`, () => assert.deepEqual(found, expected))

function told(upstream: IncomingHttpHeaders): [string, string][] {
  const head: string[] = ['x-request-id', 'r1']
  passBack(upstream, head)
  return pairs(head).slice(1)
}

const TO_CLIENTS: Readonly<Record<string, [[string, string][], [string, string][]]>> = {
  'the content type, JSON where there is none': [told({}), [['content-type', 'application/json']]],
  'a content type as it is': [
    told({ 'content-type': 'text/event-stream; charset=utf-8' }),
    [['content-type', 'text/event-stream; charset=utf-8']],
  ],
  'limits that are left, and how long it took': [
    told({ 'openai-processing-ms': '12', 'x-ratelimit-remaining-requests': '3' }),
    [
      ['content-type', 'application/json'],
      ['openai-processing-ms', '12'],
      ['x-ratelimit-remaining-requests', '3'],
    ],
  ],
  'nothing of its server, its connection, its cookies or its account': [
    told({
      server: 'uvicorn',
      connection: 'close',
      'transfer-encoding': 'chunked',
      'content-length': '5',
      'set-cookie': ['a=b'],
      'openai-organization': 'org-1',
      'access-control-allow-origin': '*',
      'x-request-id': 'theirs',
    }),
    [['content-type', 'application/json']],
  ],
}

for (const [name, [found, expected]] of Object.entries(TO_CLIENTS)) test(`to a client: ${name}`, () => assert.deepEqual(found, expected))
